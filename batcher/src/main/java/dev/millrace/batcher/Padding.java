package dev.millrace.batcher;

import static java.util.Objects.requireNonNull;

import java.util.Map;

/**
 * What makes requests of different lengths fit into one batch: the inputs of a model whose result
 * for a row does not depend on how far the row is filled up, because a mask input or the fill value
 * itself marks what is filled.
 *
 * <p>Shorter inputs are filled up to the longest of the batch, and the outputs cut back.
 *
 * @param dimension the dimension that differs in length, at least 1, in every input named here
 * @param inputs the inputs that have that dimension, each with the value to fill it up with; the
 *     mask's is usually 0. Not of datatype BYTES.
 * @param outputs the outputs that have that length too, each with the dimension that does
 */
public record Padding(int dimension, Map<String, Double> inputs, Map<String, Integer> outputs) {
  public Padding {
    requireNonNull(inputs, "inputs is null");
    requireNonNull(outputs, "outputs is null");
    inputs = Map.copyOf(inputs);
    outputs = Map.copyOf(outputs);
    if (dimension < 1) {
      throw new IllegalArgumentException(
          "dimension 0 is the batch; what is filled up must be a later one, got " + dimension);
    }
    if (inputs.isEmpty()) {
      throw new IllegalArgumentException("no input is filled up");
    }
    for (Map.Entry<String, Integer> output : outputs.entrySet()) {
      if (output.getValue() < 1) {
        throw new IllegalArgumentException(
            "dimension 0 of output '%s' is the batch and cannot be cut".formatted(output.getKey()));
      }
    }
  }
}

package dev.millrace.api;

import static java.util.Objects.requireNonNull;

/**
 * What a model declares of one input or output.
 *
 * @param shape with {@link Shape#ANY} where the size may vary, the batch dimension included
 * @param optional whether a request may leave this input out; false for outputs
 */
public record TensorSpec(String name, DataType dataType, Shape shape, boolean optional) {
  public TensorSpec {
    requireNonNull(name, "name is null");
    requireNonNull(dataType, "dataType is null");
    requireNonNull(shape, "shape is null");
  }

  /** A spec of an output or of an input that has to be there. */
  public TensorSpec(String name, DataType dataType, Shape shape) {
    this(name, dataType, shape, false);
  }
}

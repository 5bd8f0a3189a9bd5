package dev.millrace.server.v1;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.TensorSpec;
import dev.millrace.runtime.ModelServer;
import java.util.Optional;

/**
 * One of the ways in which a model can be called.
 *
 * @param metadata what it takes and gives
 * @param isMain whether it is the one that the model itself is called by
 */
record Signature(String name, ModelMetadata metadata, boolean isMain) {
  /** The property of a signature with TensorFlow's name of what it does. */
  private static final String METHOD = "method-name";

  /** What it does, in TensorFlow's words. */
  String method() {
    return metadata.properties().getOrDefault(METHOD, Signatures.PREDICT_METHOD);
  }

  /** What the graph calls an input, for who knows TensorFlow's names. */
  String inputTensor(String input) {
    return metadata.properties().getOrDefault("input." + input, input);
  }

  /** As {@link #inputTensor}, of an output. */
  String outputTensor(String output) {
    return metadata.properties().getOrDefault("output." + output, output);
  }

  /**
   * The input that whole examples go into, one text each: the only one of a signature that is made
   * for examples. Empty if features are the inputs.
   */
  Optional<TensorSpec> examplesInput() {
    boolean forExamples =
        method().equals(Signatures.CLASSIFY_METHOD) || method().equals(Signatures.REGRESS_METHOD);
    return forExamples && metadata.inputs().size() == 1
        ? Optional.of(metadata.inputs().getFirst())
            .filter(input -> input.dataType() == DataType.BYTES && input.shape().rank() <= 1)
        : Optional.empty();
  }

  /** The request, addressed to this signature; the inputs move to it. */
  InferenceRequest address(InferenceRequest request) {
    return isMain ? request : ModelServer.toSignature(request, name);
  }

  /**
   * Checks the name in a request over REST, which was looked for before.
   *
   * @throws InferenceException INVALID_ARGUMENT if it is another
   */
  void require(String asked) {
    if (!asked.isEmpty() && !asked.equals(name)) {
      throw Signatures.unknown(asked);
    }
  }
}

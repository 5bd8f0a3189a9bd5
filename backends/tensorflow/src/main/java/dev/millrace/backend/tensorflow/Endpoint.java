package dev.millrace.backend.tensorflow;

import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import org.tensorflow.proto.TensorShapeProto;

/**
 * An input or output of a signature.
 *
 * @param spec under the name that clients know
 * @param operation the operation in the graph whose output it is
 * @param index which of that operation's outputs
 */
record Endpoint(TensorSpec spec, String operation, int index) {
  /** An endpoint at a tensor that the graph calls {@code operation:index}. */
  static Endpoint of(TensorSpec spec, String tensor) {
    int colon = tensor.lastIndexOf(':');
    String index = colon < 0 ? "" : tensor.substring(colon + 1);
    return index.matches("\\d{1,9}")
        ? new Endpoint(spec, tensor.substring(0, colon), Integer.parseInt(index))
        : new Endpoint(spec, tensor, 0);
  }

  /** The tensor as the graph calls it. */
  String tensor() {
    return operation + ":" + index;
  }

  boolean hasBatchDimension() {
    Shape shape = spec.shape();
    return shape.hasRank() && shape.rank() > 0 && shape.dim(0) == Shape.ANY;
  }

  static Shape shape(TensorShapeProto shape) {
    return shape.getUnknownRank()
        ? Shape.ANY_RANK
        : Shape.of(
            shape.getDimList().stream()
                .mapToLong(dim -> Math.max(dim.getSize(), Shape.ANY))
                .toArray());
  }
}

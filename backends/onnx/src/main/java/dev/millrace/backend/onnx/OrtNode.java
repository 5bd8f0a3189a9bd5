package dev.millrace.backend.onnx;

import java.util.List;

/**
 * What a session says of one input or output.
 *
 * @param kind what the value is
 * @param elementType of a tensor, a number of the enum ONNXTensorElementDataType; else 0
 * @param dims of a tensor, -1 where the size may vary
 * @param symbols the names of dimensions that may vary, "" for those without
 * @param hasShape whether the model declares the tensor's shape at all
 * @param optional whether an input may be left out: it has a default, or its type says so
 */
record OrtNode(
    String name,
    Kind kind,
    int elementType,
    List<Long> dims,
    List<String> symbols,
    boolean hasShape,
    boolean optional) {
  /** The kinds of value in ONNX. */
  enum Kind {
    TENSOR,
    /** A list of maps from labels to FP32, as classifiers converted from scikit-learn give. */
    LIST_OF_MAPS,
    OTHER
  }

  OrtNode {
    dims = List.copyOf(dims);
    symbols = List.copyOf(symbols);
  }

  static OrtNode of(String name, Kind kind, boolean optional) {
    return new OrtNode(name, kind, 0, List.of(), List.of(), false, optional);
  }
}

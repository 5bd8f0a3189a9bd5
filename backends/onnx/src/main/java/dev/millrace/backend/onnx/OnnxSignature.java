package dev.millrace.backend.onnx;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A model's inputs and outputs as tensors.
 *
 * @param listsOfMaps for each output, whether the engine gives a list of maps for it
 * @param dimensions for each input, the names of its dimensions, "" for those without; as names
 *     stand for sizes, those of one name are to be of one size
 * @param leftOut the outputs that are not tensors and cannot be made one
 * @param batchable whether dimension 0 of every input and output is one and the same batch
 */
record OnnxSignature(
    List<TensorSpec> inputs,
    List<TensorSpec> outputs,
    List<Boolean> listsOfMaps,
    List<List<String>> dimensions,
    List<String> leftOut,
    boolean batchable) {
  OnnxSignature {
    inputs = List.copyOf(inputs);
    outputs = List.copyOf(outputs);
    listsOfMaps = List.copyOf(listsOfMaps);
    dimensions = List.copyOf(dimensions);
    leftOut = List.copyOf(leftOut);
  }

  /**
   * The signature of a model with these inputs and outputs.
   *
   * @throws InferenceException FAILED_PRECONDITION if an input is not a tensor, or no output is
   */
  static OnnxSignature of(List<OrtNode> inputNodes, List<OrtNode> outputNodes) {
    List<TensorSpec> inputs = new ArrayList<>();
    for (OrtNode node : inputNodes) {
      inputs.add(input(node));
    }
    List<TensorSpec> outputs = new ArrayList<>();
    List<Boolean> listsOfMaps = new ArrayList<>();
    List<String> leftOut = new ArrayList<>();
    for (OrtNode node : outputNodes) {
      TensorSpec output = output(node);
      if (output == null) {
        leftOut.add(node.name());
      } else {
        outputs.add(output);
        listsOfMaps.add(node.kind() == OrtNode.Kind.LIST_OF_MAPS);
      }
    }
    if (outputs.isEmpty()) {
      throw failure("the model has no output that is a tensor");
    }
    return new OnnxSignature(
        inputs,
        outputs,
        listsOfMaps,
        inputNodes.stream().map(OrtNode::symbols).toList(),
        leftOut,
        isBatchable(inputNodes, outputNodes));
  }

  /**
   * Where these inputs have two sizes for one dimension, as in "inputs 'a' and 'b' differ in
   * dimension 'L', 2 and 3"; "" if nowhere. The engine does not look: many models take such inputs.
   */
  String contradiction(TensorMap given) {
    record Size(String input, long size) {}
    Map<String, Size> sizes = new HashMap<>();
    for (int i = 0; i < given.size(); i++) {
      String input = given.name(i);
      Shape shape = given.tensor(i).shape();
      List<String> names = dimensions.get(indexOf(input));
      for (int d = 0; d < Math.min(names.size(), shape.rank()); d++) {
        Size size = new Size(input, shape.dim(d));
        Size other = names.get(d).isEmpty() ? size : sizes.putIfAbsent(names.get(d), size);
        if (other != null && other.size != size.size) {
          return "inputs '%s' and '%s' differ in dimension '%s', %d and %d"
              .formatted(other.input, input, names.get(d), other.size, size.size);
        }
      }
    }
    return "";
  }

  private int indexOf(String input) {
    return inputs.stream().map(TensorSpec::name).toList().indexOf(input);
  }

  private static TensorSpec input(OrtNode node) {
    DataType type = OnnxTensors.dataType(node.elementType());
    if (node.kind() != OrtNode.Kind.TENSOR || type == null) {
      throw failure(
          "input '%s' is not a tensor of a type that can be served, but %s"
              .formatted(node.name(), kind(node)));
    }
    return new TensorSpec(node.name(), type, shape(node), node.optional());
  }

  private static @Nullable TensorSpec output(OrtNode node) {
    if (node.kind() == OrtNode.Kind.LIST_OF_MAPS) {
      return new TensorSpec(node.name(), DataType.FP32, Shape.of(Shape.ANY, Shape.ANY));
    }
    DataType type = OnnxTensors.dataType(node.elementType());
    return node.kind() == OrtNode.Kind.TENSOR && type != null
        ? new TensorSpec(node.name(), type, shape(node))
        : null;
  }

  private static String kind(OrtNode node) {
    return node.kind() == OrtNode.Kind.TENSOR
        ? "one of " + OnnxTensors.typeName(node.elementType())
        : "a sequence, a map or an optional value";
  }

  private static Shape shape(OrtNode node) {
    if (!node.hasShape()) {
      return Shape.ANY_RANK;
    }
    return Shape.of(node.dims().stream().mapToLong(dim -> Math.max(dim, Shape.ANY)).toArray());
  }

  private static boolean isBatchable(List<OrtNode> inputs, List<OrtNode> outputs) {
    String batch = "";
    List<OrtNode> nodes = new ArrayList<>(inputs);
    nodes.addAll(outputs);
    for (OrtNode node : nodes) {
      if (node.kind() == OrtNode.Kind.LIST_OF_MAPS) {
        continue;
      }
      if (node.dims().isEmpty() || node.dims().getFirst() != Shape.ANY) {
        return false;
      }
      String symbol = symbol(node);
      if (batch.isEmpty()) {
        batch = symbol;
      } else if (!symbol.isEmpty() && !symbol.equals(batch)) {
        return false;
      }
    }
    return !inputs.isEmpty();
  }

  /** The name of dimension 0; "" also for the names that tf2onnx makes up, one a dimension. */
  private static String symbol(OrtNode node) {
    String symbol = node.symbols().getFirst();
    return symbol.startsWith("unk__") ? "" : symbol;
  }

  private static InferenceException failure(String message) {
    return new InferenceException(ErrorCode.FAILED_PRECONDITION, message);
  }
}

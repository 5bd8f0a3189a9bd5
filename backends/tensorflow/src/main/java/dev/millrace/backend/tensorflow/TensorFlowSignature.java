package dev.millrace.backend.tensorflow;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.proto.TensorInfo;
import org.tensorflow.proto.TensorProto;

/**
 * One way to call a graph: names of inputs and outputs for tensors in it. In the file they have no
 * order, so they are in that of their names.
 *
 * @param method what it is made for, as in {@code tensorflow/serving/predict}
 * @param defaults the values of inputs that may be left out
 * @param leftOut the outputs that are not tensors of a type that can be served
 */
record TensorFlowSignature(
    String name,
    String method,
    List<Endpoint> inputs,
    List<Endpoint> outputs,
    Map<String, TensorProto> defaults,
    List<String> leftOut) {
  TensorFlowSignature {
    inputs = List.copyOf(inputs);
    outputs = List.copyOf(outputs);
    defaults = Map.copyOf(defaults);
    leftOut = List.copyOf(leftOut);
  }

  /**
   * The signature that the file describes so.
   *
   * @throws InferenceException FAILED_PRECONDITION if an input is not a tensor that can be served,
   *     or no output is
   */
  static TensorFlowSignature of(String name, SignatureDef definition) {
    List<Endpoint> inputs = new ArrayList<>();
    Map<String, TensorProto> defaults = new LinkedHashMap<>();
    new TreeMap<>(definition.getInputsMap())
        .forEach((input, tensor) -> {
          TensorProto value = definition.getDefaultsMap().get(input);
          Endpoint endpoint = endpoint(input, tensor, value != null);
          if (endpoint == null) {
            throw new InferenceException(
                ErrorCode.FAILED_PRECONDITION,
                "input '%s' of signature '%s' is not a tensor of a type that can be served: %s"
                    .formatted(input, name, describe(tensor)));
          }
          inputs.add(endpoint);
          if (value != null) {
            defaults.put(input, value);
          }
        });
    List<Endpoint> outputs = new ArrayList<>();
    List<String> leftOut = new ArrayList<>();
    new TreeMap<>(definition.getOutputsMap())
        .forEach((output, tensor) -> {
          Endpoint endpoint = endpoint(output, tensor, false);
          if (endpoint == null) {
            leftOut.add(output);
          } else {
            outputs.add(endpoint);
          }
        });
    if (outputs.isEmpty()) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "signature '%s' has no output that is a tensor of a type that can be served"
              .formatted(name));
    }
    return new TensorFlowSignature(
        name, definition.getMethodName(), inputs, outputs, defaults, leftOut);
  }

  private static @Nullable Endpoint endpoint(String name, TensorInfo tensor, boolean optional) {
    DataType type = TensorFlowTypes.dataType(tensor.getDtypeValue());
    if (type == null || tensor.getEncodingCase() != TensorInfo.EncodingCase.NAME) {
      return null;
    }
    Shape shape =
        tensor.hasTensorShape() ? Endpoint.shape(tensor.getTensorShape()) : Shape.ANY_RANK;
    return Endpoint.of(new TensorSpec(name, type, shape, optional), tensor.getName());
  }

  private static String describe(TensorInfo tensor) {
    return switch (tensor.getEncodingCase()) {
      case NAME, ENCODING_NOT_SET -> tensor.getDtype().toString();
      case COO_SPARSE -> "a sparse tensor";
      case COMPOSITE_TENSOR -> "a composite tensor";
    };
  }

  /** Whether dimension 0 of every input and output may be a batch. */
  boolean isBatchable() {
    return !inputs.isEmpty()
        && inputs.stream().allMatch(Endpoint::hasBatchDimension)
        && outputs.stream().allMatch(Endpoint::hasBatchDimension);
  }

  List<TensorSpec> inputSpecs() {
    return inputs.stream().map(Endpoint::spec).toList();
  }

  List<TensorSpec> outputSpecs() {
    return outputs.stream().map(Endpoint::spec).toList();
  }
}

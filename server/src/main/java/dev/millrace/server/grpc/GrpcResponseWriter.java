package dev.millrace.server.grpc;

import com.google.protobuf.UnsafeByteOperations;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.proto.inference.ModelInferResponse.InferOutputTensor;

/** Writes responses to requests for inference. */
final class GrpcResponseWriter {
  private GrpcResponseWriter() {}

  /**
   * The response in the protocol's form. Its raw contents are the memory of the tensors, which have
   * to stay open until the message is on its way.
   *
   * <p>Raw contents are always there, as Triton's clients read nothing else.
   *
   * @param typed whether the typed contents are there too, which KServe's clients read if they have
   *     sent such
   */
  static ModelInferResponse write(InferenceResponse response, boolean typed) {
    ModelInferResponse.Builder message =
        ModelInferResponse.newBuilder()
            .setModelName(response.model().name())
            .setModelVersion(response.model().version())
            .setId(response.id());
    if (!response.parameters().isEmpty()) {
      response
          .parameters()
          .asMap()
          .forEach((key, value) -> message.putParameters(key, GrpcParameters.write(value)));
    }
    TensorMap outputs = response.outputs();
    for (int i = 0; i < outputs.size(); i++) {
      Tensor tensor = outputs.tensor(i);
      message.addOutputs(output(outputs.name(i), tensor, typed));
      message.addRawOutputContents(UnsafeByteOperations.unsafeWrap(tensor.data()));
    }
    return message.build();
  }

  private static InferOutputTensor output(String name, Tensor tensor, boolean typed) {
    InferOutputTensor.Builder output =
        InferOutputTensor.newBuilder().setName(name).setDatatype(tensor.dataType().name());
    for (int i = 0; i < tensor.shape().rank(); i++) {
      output.addShape(tensor.shape().dim(i));
    }
    if (typed && TypedContents.hasField(tensor.dataType())) {
      output.setContents(TypedContents.write(tensor));
    }
    return output.build();
  }
}

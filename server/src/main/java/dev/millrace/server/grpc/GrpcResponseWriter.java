package dev.millrace.server.grpc;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.proto.inference.ModelInferResponse.InferOutputTensor;
import dev.millrace.server.memory.MemoryRange;
import dev.millrace.server.v2.OutputFinisher;
import org.jspecify.annotations.Nullable;

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
   * @param finisher that has finished the response: what it has put into shared memory is not sent
   */
  static ModelInferResponse write(
      InferenceResponse response, boolean typed, OutputFinisher finisher) {
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
      MemoryRange place = finisher.placeOf(outputs.name(i));
      message.addOutputs(output(outputs.name(i), tensor, typed, place));
      message.addRawOutputContents(
          place == null ? UnsafeByteOperations.unsafeWrap(tensor.data()) : ByteString.EMPTY);
    }
    return message.build();
  }

  private static InferOutputTensor output(
      String name, Tensor tensor, boolean typed, @Nullable MemoryRange place) {
    InferOutputTensor.Builder output =
        InferOutputTensor.newBuilder().setName(name).setDatatype(tensor.dataType().name());
    for (int i = 0; i < tensor.shape().rank(); i++) {
      output.addShape(tensor.shape().dim(i));
    }
    if (place != null) {
      output
          .putParameters("shared_memory_region", GrpcParameters.write(place.region()))
          .putParameters("shared_memory_offset", GrpcParameters.write(place.offset()))
          .putParameters("shared_memory_byte_size", GrpcParameters.write(place.byteSize()));
    } else if (typed && TypedContents.hasField(tensor.dataType())) {
      output.setContents(TypedContents.write(tensor));
    }
    return output.build();
  }
}

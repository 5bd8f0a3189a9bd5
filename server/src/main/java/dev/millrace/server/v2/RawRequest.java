package dev.millrace.server.v2;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;
import java.util.List;

/** A body that is one tensor and nothing else; what it is follows from the model's metadata. */
final class RawRequest {
  private RawRequest() {}

  static V2Request read(ModelId model, ModelMetadata metadata, ByteBuf body) {
    if (metadata.inputs().size() != 1) {
      throw InferenceException.invalidArgument(
          "Raw request must only have 1 input (found 1) to be deduced but got %d inputs in '%s' model configuration"
              .formatted(metadata.inputs().size(), model.name()));
    }
    TensorSpec input = metadata.inputs().getFirst();
    Tensor tensor =
        input.dataType() == DataType.BYTES
            ? text(input, metadata, body)
            : new BinaryInputs(model.name(), body, 0)
                .next(
                    input.name(),
                    input.dataType(),
                    shape(input, metadata, body.readableBytes()),
                    body.readableBytes());
    InferenceRequest request =
        new InferenceRequest(
            "",
            model,
            TensorMap.of(input.name(), tensor),
            List.of(),
            Parameters.empty(),
            Deadline.none());
    return new V2Request(request, OutputEncoding.binary(), OutputOptions.none());
  }

  /** The declared shape for one row, with the variable dimension that the size gives. */
  private static Shape shape(TensorSpec input, ModelMetadata metadata, int size) {
    Shape shape = metadata.isBatchable() ? input.shape().withDim(0, 1) : input.shape();
    int variable = -1;
    long fixed = input.dataType().byteSize();
    for (int i = 0; i < shape.rank(); i++) {
      if (shape.dim(i) != Shape.ANY) {
        fixed *= shape.dim(i);
      } else if (variable < 0) {
        variable = i;
      } else {
        throw InferenceException.invalidArgument(
            "The shape of the raw input '%s' can not be deduced because there are more than one variable-sized dimension"
                .formatted(input.name()));
      }
    }
    return variable < 0 ? shape : shape.withDim(variable, fixed == 0 ? 0 : size / fixed);
  }

  private static Tensor text(TensorSpec input, ModelMetadata metadata, ByteBuf body) {
    Shape declared = input.shape();
    int rank = declared.rank() - (metadata.isBatchable() ? 1 : 0);
    long last = declared.rank() == 0 ? 0 : declared.dim(declared.rank() - 1);
    if (rank != 1 || (last != 1 && last != Shape.ANY)) {
      throw InferenceException.invalidArgument(
          "For BYTE datatype raw input '%s', the model must have input shape [1]"
              .formatted(input.name()));
    }
    int size = body.readableBytes();
    PooledBuffer buffer = BufferPool.shared().take(size + 4L);
    try {
      ByteBuffer element = buffer.view(size + 4).putInt(size);
      body.getBytes(body.readerIndex(), element);
      Shape shape = metadata.isBatchable() ? Shape.of(1, 1) : Shape.of(1);
      return Tensor.wrap(DataType.BYTES, shape, element.flip(), buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }
}

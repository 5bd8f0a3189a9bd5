package dev.millrace.server.grpc;

import com.google.protobuf.ByteString;
import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.proto.inference.InferParameter;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.proto.inference.ModelInferRequest.InferRequestedOutputTensor;
import dev.millrace.server.v2.RequestLimits;
import dev.millrace.server.v2.TensorBytes;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Reads requests for inference. */
final class GrpcRequestReader {
  private GrpcRequestReader() {}

  /**
   * The request in our own form, with tensors of its own; the caller closes it.
   *
   * @throws InferenceException INVALID_ARGUMENT if the request contradicts itself, UNIMPLEMENTED if
   *     it asks for what this server does not have
   */
  static InferenceRequest read(ModelInferRequest request, Deadline deadline) {
    RequestLimits.checkId(request.getId());
    List<String> outputs = outputs(request);
    var parameters = GrpcParameters.read(request.getParametersMap());
    TensorMap inputs = inputs(request);
    return new InferenceRequest(
        request.getId(),
        new ModelId(request.getModelName(), request.getModelVersion()),
        inputs,
        outputs,
        parameters,
        deadline);
  }

  private static TensorMap inputs(ModelInferRequest request) {
    String model = request.getModelName();
    int count = request.getInputsCount();
    int rawCount = request.getRawInputContentsCount();
    RequestLimits.checkCount("inputs", count);
    try (TensorMap.Builder inputs = TensorMap.builder()) {
      for (int i = 0; i < count; i++) {
        InferInputTensor input = request.getInputs(i);
        String name = input.getName();
        if (inputs.contains(name)) {
          throw InferenceException.invalidArgument(
              "input '%s' already exists in request".formatted(name));
        }
        requireNoSharedMemory(input.getParametersMap());
        if (rawCount == 0) {
          inputs.put(name, typed(model, input));
        } else if (input.hasContents()) {
          throw InferenceException.invalidArgument(
              "contents field must not be specified when using raw_input_contents for '%s' for model '%s'"
                  .formatted(name, model));
        } else if (i >= rawCount) {
          throw noData(model, name);
        } else {
          inputs.put(name, raw(model, input, request.getRawInputContents(i)));
        }
      }
      if (rawCount > count) {
        throw InferenceException.invalidArgument(
            "expected %d raw_input_contents, one for each input, but got %d for model '%s'"
                .formatted(count, rawCount, model));
      }
      return inputs.build();
    }
  }

  private static Tensor typed(String model, InferInputTensor input) {
    DataType type = DataType.of(input.getDatatype());
    Shape shape = shape(input);
    if (!input.hasContents() && shape.elementCount() > 0) {
      throw noData(model, input.getName());
    }
    return TypedContents.read(model, input.getName(), type, shape, input.getContents());
  }

  private static InferenceException noData(String model, String input) {
    return InferenceException.invalidArgument(
        "unable to find data for input tensor '%s' for model '%s' in request."
            .formatted(input, model));
  }

  private static Tensor raw(String model, InferInputTensor input, ByteString contents) {
    DataType type = DataType.of(input.getDatatype());
    Shape shape = shape(input);
    int size = contents.size();
    if (type.isFixedSize()) {
      TensorBytes.checkSize(model, input.getName(), Tensor.byteSize(type, shape), size);
    }
    PooledBuffer buffer = BufferPool.shared().take(size);
    try {
      ByteBuffer view = buffer.view(size);
      contents.copyTo(view);
      view.flip();
      TensorBytes.check(model, input.getName(), type, shape, view);
      return Tensor.wrap(type, shape, view, buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  private static Shape shape(InferInputTensor input) {
    int rank = Math.min(input.getShapeCount(), Shape.MAX_RANK + 1);
    long[] dims = new long[rank];
    for (int i = 0; i < rank; i++) {
      dims[i] = input.getShape(i);
    }
    Shape shape = Shape.of(dims);
    if (!shape.isConcrete()) {
      throw InferenceException.invalidArgument(
          "shape %s of input '%s' has a negative dimension".formatted(shape, input.getName()));
    }
    return shape;
  }

  private static List<String> outputs(ModelInferRequest request) {
    int count = request.getOutputsCount();
    if (count == 0) {
      return List.of();
    }
    RequestLimits.checkCount("outputs", count);
    List<String> names = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      InferRequestedOutputTensor output = request.getOutputs(i);
      requireNoSharedMemory(output.getParametersMap());
      requireNoClassification(output.getParametersMap());
      if (names.contains(output.getName())) {
        throw InferenceException.invalidArgument(
            "output '%s' already exists in request".formatted(output.getName()));
      }
      names.add(output.getName());
    }
    return names;
  }

  private static void requireNoSharedMemory(Map<String, InferParameter> parameters) {
    if (!parameters.isEmpty() && parameters.containsKey("shared_memory_region")) {
      throw unsupported("shared memory");
    }
  }

  private static void requireNoClassification(Map<String, InferParameter> parameters) {
    InferParameter classes = parameters.get("classification");
    if (classes == null) {
      return;
    }
    if (!classes.hasInt64Param() || classes.getInt64Param() < 0) {
      throw InferenceException.invalidArgument(
          "invalid value type for 'classification' parameter, expected int64_param.");
    }
    if (classes.getInt64Param() > 0) {
      throw unsupported("classification");
    }
  }

  private static InferenceException unsupported(String what) {
    return new InferenceException(ErrorCode.UNIMPLEMENTED, what + " is not supported");
  }
}

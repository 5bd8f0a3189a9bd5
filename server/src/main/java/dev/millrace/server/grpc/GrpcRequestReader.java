package dev.millrace.server.grpc;

import com.google.protobuf.ByteString;
import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
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
import dev.millrace.server.memory.MemoryRange;
import dev.millrace.server.memory.SharedMemory;
import dev.millrace.server.v2.OutputOptions;
import dev.millrace.server.v2.RequestLimits;
import dev.millrace.server.v2.TensorBytes;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Reads requests for inference. Thread-safe. */
final class GrpcRequestReader {
  private static final String REGION = "shared_memory_region";
  private static final String OFFSET = "shared_memory_offset";
  private static final String SIZE = "shared_memory_byte_size";

  private final SharedMemory memory;

  /**
   * A reader.
   *
   * @param memory where inputs may be
   */
  GrpcRequestReader(SharedMemory memory) {
    this.memory = memory;
  }

  /**
   * The request in our own form, with tensors of its own; the caller closes it.
   *
   * @throws InferenceException INVALID_ARGUMENT if the request contradicts itself, UNIMPLEMENTED if
   *     it asks for what this server does not have
   */
  InferenceRequest read(ModelInferRequest request, Deadline deadline) {
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

  /**
   * What the request wants done to its outputs.
   *
   * @throws InferenceException INVALID_ARGUMENT if that makes no sense
   */
  static OutputOptions options(ModelInferRequest request) {
    OutputOptions.Builder options = new OutputOptions.Builder();
    for (InferRequestedOutputTensor output : request.getOutputsList()) {
      Map<String, InferParameter> parameters = output.getParametersMap();
      if (!parameters.isEmpty()) {
        options.classes(output.getName(), classes(parameters));
        if (parameters.containsKey(REGION)) {
          options.place(output.getName(), range(output.getName(), parameters));
        }
      }
    }
    return options.build();
  }

  private TensorMap inputs(ModelInferRequest request) {
    String model = request.getModelName();
    int count = request.getInputsCount();
    int rawCount = request.getRawInputContentsCount();
    int raws = 0;
    int shared = 0;
    RequestLimits.checkCount("inputs", count);
    try (TensorMap.Builder inputs = TensorMap.builder()) {
      for (int i = 0; i < count; i++) {
        InferInputTensor input = request.getInputs(i);
        String name = input.getName();
        if (inputs.contains(name)) {
          throw InferenceException.invalidArgument(
              "input '%s' already exists in request".formatted(name));
        }
        if (input.getParametersCount() > 0 && input.containsParameters(REGION)) {
          inputs.put(name, shared(model, input));
          shared++;
        } else if (rawCount == 0) {
          inputs.put(name, typed(model, input));
        } else if (input.hasContents()) {
          throw InferenceException.invalidArgument(
              "contents field must not be specified when using raw_input_contents for '%s' for model '%s'"
                  .formatted(name, model));
        } else if (raws >= rawCount) {
          throw noData(model, name);
        } else {
          inputs.put(name, raw(model, input, request.getRawInputContents(raws++)));
        }
      }
      if (rawCount > raws) {
        throw InferenceException.invalidArgument(
            "expected %d raw_input_contents, one for each input, but got %d for model '%s'"
                .formatted(count - shared, rawCount, model));
      }
      return inputs.build();
    }
  }

  private Tensor shared(String model, InferInputTensor input) {
    if (input.hasContents()) {
      throw InferenceException.invalidArgument(
          "unexpected 'contents' provided when using shared memory for input tensor '%s' for model '%s'"
              .formatted(input.getName(), model));
    }
    DataType dataType = DataType.of(input.getDatatype());
    return memory.read(
        range(input.getName(), input.getParametersMap()),
        dataType,
        shape(input),
        (type, shape, bytes) -> TensorBytes.check(model, input.getName(), type, shape, bytes));
  }

  private static MemoryRange range(String tensor, Map<String, InferParameter> parameters) {
    InferParameter region = parameters.get(REGION);
    if (region == null || !region.hasStringParam()) {
      throw wrongType(REGION, "string_param");
    }
    if (!parameters.containsKey(SIZE)) {
      throw InferenceException.invalidArgument(
          "'shared_memory_byte_size' must be specified along with 'shared_memory_region' for '%s'"
              .formatted(tensor));
    }
    return new MemoryRange(
        region.getStringParam(), number(parameters, OFFSET), number(parameters, SIZE));
  }

  private static long number(Map<String, InferParameter> parameters, String key) {
    InferParameter value = parameters.get(key);
    if (value == null) {
      return 0;
    }
    return switch (value.getParameterChoiceCase()) {
      case INT64_PARAM -> value.getInt64Param();
      case UINT64_PARAM -> value.getUint64Param();
      case BOOL_PARAM, STRING_PARAM, DOUBLE_PARAM, PARAMETERCHOICE_NOT_SET ->
          throw wrongType(key, "int64_param");
    };
  }

  private static long classes(Map<String, InferParameter> parameters) {
    InferParameter classes = parameters.get("classification");
    if (classes == null) {
      return 0;
    }
    if (!classes.hasInt64Param()) {
      throw wrongType("classification", "int64_param");
    }
    return classes.getInt64Param();
  }

  private static InferenceException wrongType(String key, String expected) {
    return InferenceException.invalidArgument(
        "invalid value type for '%s' parameter, expected %s.".formatted(key, expected));
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
      if (names.contains(output.getName())) {
        throw InferenceException.invalidArgument(
            "output '%s' already exists in request".formatted(output.getName()));
      }
      names.add(output.getName());
    }
    return names;
  }
}

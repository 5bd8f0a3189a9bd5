package dev.millrace.server.triton;

import dev.millrace.api.Device;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import dev.millrace.proto.inference.DataType;
import dev.millrace.proto.inference.ModelConfig;
import dev.millrace.proto.inference.ModelDynamicBatching;
import dev.millrace.proto.inference.ModelInput;
import dev.millrace.proto.inference.ModelInstanceGroup;
import dev.millrace.proto.inference.ModelOutput;
import dev.millrace.proto.inference.ModelParameter;
import dev.millrace.proto.inference.ModelQueuePolicy;
import dev.millrace.proto.inference.ModelTensorReshape;
import dev.millrace.proto.inference.ModelTransactionPolicy;
import dev.millrace.proto.inference.ModelVersionPolicy;
import dev.millrace.proto.inference.ModelWarmup;
import dev.millrace.runtime.DeclaredTensor;
import dev.millrace.runtime.LabelFile;
import dev.millrace.runtime.ModelDescription;
import dev.millrace.runtime.ModelOptions;
import dev.millrace.runtime.Placement;
import dev.millrace.runtime.PriorityLevels;
import dev.millrace.runtime.VersionPolicy;
import dev.millrace.runtime.WarmUpSample;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * How a model is set up, in the terms of Triton's model configuration. It is made from what is
 * served: a {@code config.pbtxt} with this content would be served like this. What a {@code
 * config.pbtxt} says beyond that is there too.
 */
public final class ConfigurationMessages {
  private ConfigurationMessages() {}

  /** The configuration of one version. */
  public static ModelConfig of(ModelDescription model) {
    ModelMetadata metadata = model.metadata();
    ModelConfig.Builder config =
        ModelConfig.newBuilder()
            .setName(metadata.id().name())
            .setPlatform(metadata.platform())
            .setBackend(backend(metadata.platform()))
            .setVersionPolicy(versionPolicy(model.options()))
            .setMaxBatchSize(metadata.maxBatchSize())
            .setModelTransactionPolicy(
                ModelTransactionPolicy.newBuilder().setDecoupled(model.streams()));
    model
        .placements()
        .forEach(placement -> config.addInstanceGroup(instances(metadata.id().name(), placement)));
    metadata.inputs().forEach(input -> config.addInput(input(input, model)));
    metadata.outputs().forEach(output -> config.addOutput(output(output, model)));
    metadata
        .properties()
        .forEach((key, value) ->
            config.putParameters(key, ModelParameter.newBuilder().setStringValue(value).build()));
    if (metadata.isBatchable()) {
      config.setDynamicBatching(batching(model));
    }
    model
        .declared()
        .ifPresent(declared -> {
          declared.defaultFilename().ifPresent(config::setDefaultModelFilename);
          declared.warmUps().forEach(sample -> config.addModelWarmup(warmUp(sample)));
        });
    return config.build();
  }

  /** Triton's platforms are a backend's name and a format, as in {@code onnxruntime_onnx}. */
  private static String backend(String platform) {
    int end = platform.indexOf('_');
    return end < 0 ? platform : platform.substring(0, end);
  }

  private static ModelVersionPolicy versionPolicy(ModelOptions options) {
    ModelVersionPolicy.Builder policy = ModelVersionPolicy.newBuilder();
    switch (options.versionPolicy().orElse(new VersionPolicy.Latest(1))) {
      case VersionPolicy.All() -> policy.setAll(ModelVersionPolicy.All.getDefaultInstance());
      case VersionPolicy.Latest(int count) ->
          policy.setLatest(ModelVersionPolicy.Latest.newBuilder().setNumVersions(count));
      case VersionPolicy.Specific(List<String> versions) ->
          policy.setSpecific(
              ModelVersionPolicy.Specific.newBuilder()
                  .addAllVersions(versions.stream().map(Long::valueOf).toList()));
    }
    return policy.build();
  }

  private static ModelInstanceGroup instances(String name, Placement placement) {
    ModelInstanceGroup.Builder group =
        ModelInstanceGroup.newBuilder().setName(name).setCount(placement.instances());
    Device device = placement.device();
    switch (device.kind()) {
      case CPU -> group.setKind(ModelInstanceGroup.Kind.KIND_CPU);
      case GPU -> group.setKind(ModelInstanceGroup.Kind.KIND_GPU).addGpus(device.index());
    }
    return group.build();
  }

  private static ModelInput input(TensorSpec input, ModelDescription model) {
    ModelInput.Builder message =
        ModelInput.newBuilder()
            .setName(input.name())
            .setDataType(type(input.dataType()))
            .addAllDims(dims(input.shape(), model))
            .setOptional(input.optional());
    reshape(model.declared().flatMap(config -> config.input(input.name())), model)
        .ifPresent(message::setReshape);
    return message.build();
  }

  private static ModelOutput output(TensorSpec output, ModelDescription model) {
    LabelFile labels = model.labels().get(output.name());
    ModelOutput.Builder message =
        ModelOutput.newBuilder()
            .setName(output.name())
            .setDataType(type(output.dataType()))
            .addAllDims(dims(output.shape(), model))
            .setLabelFilename(labels == null ? "" : labels.name());
    reshape(model.declared().flatMap(config -> config.output(output.name())), model)
        .ifPresent(message::setReshape);
    return message.build();
  }

  private static Optional<ModelTensorReshape> reshape(
      Optional<DeclaredTensor> tensor, ModelDescription model) {
    return tensor
        .flatMap(DeclaredTensor::modelShape)
        .map(shape -> ModelTensorReshape.newBuilder().addAllShape(dims(shape, model)).build());
  }

  private static ModelWarmup warmUp(WarmUpSample sample) {
    ModelWarmup.Builder message =
        ModelWarmup.newBuilder()
            .setName(sample.name())
            .setBatchSize(sample.rows())
            .setCount(sample.count());
    for (WarmUpSample.Input input : sample.inputs()) {
      ModelWarmup.Input.Builder values =
          ModelWarmup.Input.newBuilder().setDataType(type(input.dataType()));
      for (long dim : input.shape().dims()) {
        values.addDims(dim);
      }
      switch (input.values()) {
        case ZERO -> values.setZeroData(true);
        case RANDOM -> values.setRandomData(true);
        case FILE -> values.setInputDataFile(input.file().orElse(""));
      }
      message.putInputs(input.name(), values.build());
    }
    return message.build();
  }

  /** The shape, without the batch dimension if the model has one. */
  private static List<Long> dims(Shape shape, ModelDescription model) {
    List<Long> dims = new ArrayList<>();
    for (int i = model.metadata().isBatchable() ? 1 : 0; i < shape.rank(); i++) {
      dims.add(shape.dim(i));
    }
    return dims;
  }

  private static DataType type(dev.millrace.api.DataType type) {
    return switch (type) {
      case BOOL -> DataType.TYPE_BOOL;
      case UINT8 -> DataType.TYPE_UINT8;
      case UINT16 -> DataType.TYPE_UINT16;
      case UINT32 -> DataType.TYPE_UINT32;
      case UINT64 -> DataType.TYPE_UINT64;
      case INT8 -> DataType.TYPE_INT8;
      case INT16 -> DataType.TYPE_INT16;
      case INT32 -> DataType.TYPE_INT32;
      case INT64 -> DataType.TYPE_INT64;
      case FP16 -> DataType.TYPE_FP16;
      case BF16 -> DataType.TYPE_BF16;
      case FP32 -> DataType.TYPE_FP32;
      case FP64 -> DataType.TYPE_FP64;
      case BYTES -> DataType.TYPE_STRING;
    };
  }

  private static ModelDynamicBatching batching(ModelDescription model) {
    ModelOptions options = model.options();
    ModelDynamicBatching.Builder batching = ModelDynamicBatching.newBuilder();
    options
        .batching()
        .maxQueueDelay()
        .ifPresent(delay -> batching.setMaxQueueDelayMicroseconds(micros(delay)));
    batching.addAllPreferredBatchSize(
        options.batching().batchSizes().orElse(options.batching().preferredSizes()));
    options
        .batching()
        .priorities()
        .ifPresent(priorities -> {
          batching
              .setPriorityLevels(priorities.levels())
              .setDefaultPriorityLevel(priorities.usual());
          priorities
              .policies()
              .forEach((level, policy) ->
                  batching.putPriorityQueuePolicy(
                      level, queuePolicy(policy.queueLimit(), policy.timeout())));
        });
    Optional<Integer> limit = options.batching().priorities().flatMap(PriorityLevels::queueLimit);
    return batching
        .setDefaultQueuePolicy(queuePolicy(limit.or(options::queueLimit), options.timeout()))
        .build();
  }

  private static ModelQueuePolicy queuePolicy(Optional<Integer> limit, Optional<Duration> timeout) {
    ModelQueuePolicy.Builder queue = ModelQueuePolicy.newBuilder().setAllowTimeoutOverride(true);
    limit.ifPresent(queue::setMaxQueueSize);
    timeout.ifPresent(time -> queue.setDefaultTimeoutMicroseconds(micros(time)));
    return queue.build();
  }

  private static long micros(Duration time) {
    return time.toNanos() / 1000;
  }
}

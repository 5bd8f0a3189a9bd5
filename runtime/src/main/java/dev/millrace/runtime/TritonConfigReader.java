package dev.millrace.runtime;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/** Makes a {@link TritonConfig} of the message in a file. Not thread-safe. */
final class TritonConfigReader {
  private static final String TYPE_PREFIX = "TYPE_";

  /** Of {@code dynamic_batching}, what {@link PlatformBatching} knows. */
  private static final List<String> BATCHING =
      List.of(
          "preferred_batch_size",
          "max_queue_delay_microseconds",
          "preserve_ordering",
          "priority_levels",
          "default_priority_level",
          "default_queue_policy");

  private static final List<String> QUEUE_POLICY =
      List.of(
          "timeout_action",
          "default_timeout_microseconds",
          "allow_timeout_override",
          "max_queue_size");

  private final TextMessage message;
  private final Collection<String> backends;

  TritonConfigReader(TextMessage message, Collection<String> backends) {
    this.message = message;
    this.backends = backends;
  }

  TritonConfig read(String source) {
    for (String kind : List.of("ensemble_scheduling", "sequence_batching")) {
      if (message.has(kind)) {
        throw message.bad(kind, "dynamic_batching or nothing, as these models are not served here");
      }
    }
    Optional<Integer> maxBatchSize = message.integer("max_batch_size", 0, 1 << 20);
    boolean batched = maxBatchSize.filter(size -> size > 0).isPresent();
    Map<String, String> labelFiles = new LinkedHashMap<>();
    List<DeclaredTensor> outputs = tensors("output", batched);
    for (TextMessage output : message.messages("output")) {
      output
          .text("label_filename")
          .ifPresent(file -> labelFiles.put(output.text("name").orElse(""), file));
    }
    Optional<TextMessage> batching = message.message("dynamic_batching");
    return new TritonConfig(
        source,
        message.text("name"),
        options(maxBatchSize, batching),
        parameters(),
        message.text("default_model_filename"),
        batched,
        tensors("input", batched),
        outputs,
        warmUps(batched),
        labelFiles,
        message.unread());
  }

  private ModelOptions options(Optional<Integer> maxBatchSize, Optional<TextMessage> batching) {
    Map<String, Object> values = new LinkedHashMap<>();
    backend().ifPresent(backend -> values.put("backend", backend));
    maxBatchSize.ifPresent(size -> values.put("max-batch-size", size));
    versionPolicy().ifPresent(policy -> values.put("version-policy", policy));
    ModelOptions options =
        ModelOptions.read(Settings.of(message.place(), values)).withGroups(groups());
    return batching.map(part -> options.over(batching(part))).orElse(options);
  }

  private static ModelOptions batching(TextMessage batching) {
    Map<String, Object> values = batching.toMap(BATCHING);
    Map<String, Object> levels = new LinkedHashMap<>();
    batching
        .map("priority_queue_policy")
        .forEach((level, policy) -> levels.put(level, policy.toMap(QUEUE_POLICY)));
    if (!levels.isEmpty()) {
      values.put("priority_queue_policy", levels);
    }
    return PlatformBatching.triton(
        Settings.of("%s: dynamic_batching".formatted(batching.place()), values));
  }

  /** The backend; {@code platform} says the same in older files. */
  private Optional<String> backend() {
    Optional<String> platform = backend("platform");
    Optional<String> backend = backend("backend");
    return backend.or(() -> platform);
  }

  private Optional<String> backend(String field) {
    return message
        .text(field)
        .map(name ->
            TritonBackends.find(name, backends)
                .orElseThrow(() ->
                    message.bad(
                        field, "one of " + String.join(", ", TritonBackends.namesOf(backends)))));
  }

  /** In the form in which {@link VersionPolicy} reads it. */
  private Optional<Object> versionPolicy() {
    return message
        .message("version_policy")
        .map(policy -> {
          Optional<TextMessage> latest = policy.message("latest");
          Optional<TextMessage> specific = policy.message("specific");
          boolean all = policy.message("all").isPresent();
          if ((latest.isPresent() ? 1 : 0) + (specific.isPresent() ? 1 : 0) + (all ? 1 : 0) != 1) {
            throw message.bad("version_policy", "one of latest, all and specific");
          }
          if (latest.isPresent()) {
            return Map.of("latest", latest.get().integer("num_versions", 1, 1 << 20).orElse(1));
          }
          if (all) {
            return "all";
          }
          List<Long> versions = specific.get().integers("versions", 0, Long.MAX_VALUE);
          if (versions.isEmpty()) {
            throw policy.bad("specific", "versions, as in versions: [1, 3]");
          }
          return versions;
        });
  }

  private List<InstanceGroup> groups() {
    List<InstanceGroup> groups = new ArrayList<>();
    for (TextMessage group : message.messages("instance_group")) {
      group.text("name");
      int count = group.integer("count", 1, 1024).orElse(1);
      List<Integer> gpus =
          group.integers("gpus", 0, 9999).stream().map(Long::intValue).distinct().toList();
      DeviceChoice gpu = new DeviceChoice.Gpu(OptionalInt.empty());
      String kind = group.text("kind").orElse("KIND_AUTO");
      if (!gpus.isEmpty() && (kind.equals("KIND_CPU") || kind.equals("KIND_MODEL"))) {
        throw group.bad("gpus", "none beside " + kind);
      }
      groups.add(
          switch (kind) {
            case "KIND_AUTO" ->
                InstanceGroup.onEach(gpus.isEmpty() ? new DeviceChoice.Auto() : gpu, count, gpus);
            case "KIND_GPU" -> InstanceGroup.onEach(gpu, count, gpus);
            case "KIND_CPU" -> new InstanceGroup(new DeviceChoice.Cpu(), Optional.of(count));
            case "KIND_MODEL" -> new InstanceGroup(new DeviceChoice.Auto(), Optional.of(count));
            default -> throw group.bad("kind", "KIND_AUTO, KIND_CPU, KIND_GPU or KIND_MODEL");
          });
    }
    return groups;
  }

  private Map<String, String> parameters() {
    Map<String, String> parameters = new LinkedHashMap<>();
    message
        .map("parameters")
        .forEach((key, value) -> parameters.put(key, value.text("string_value").orElse("")));
    return parameters;
  }

  private List<DeclaredTensor> tensors(String field, boolean batched) {
    List<DeclaredTensor> tensors = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (TextMessage tensor : message.messages(field)) {
      String name = tensor.text("name").orElseThrow(() -> tensor.bad("name", "a name"));
      if (!names.add(name)) {
        throw tensor.bad("name", "a name that no other has");
      }
      if (field.equals("input")) { // what the model itself says of these is what counts
        tensor.bool("optional");
        tensor.text("format");
      }
      DataType type = dataType(tensor);
      Shape shape = shape(tensor, "dims", batched);
      Optional<Shape> modelShape =
          tensor.message("reshape").map(reshape -> shape(reshape, "shape", batched));
      modelShape.ifPresent(inner -> requireSameSize(tensor, shape, inner));
      tensors.add(new DeclaredTensor(tensor.place(), name, type, shape, modelShape));
    }
    return tensors;
  }

  private static void requireSameSize(TextMessage tensor, Shape shape, Shape inner) {
    Shape probe = shape;
    for (int i = 0; i < probe.rank(); i++) {
      probe = probe.dim(i) == Shape.ANY ? probe.withDim(i, 2) : probe;
    }
    if (DeclaredTensor.reshaped(probe, shape, inner).isEmpty()
        || DeclaredTensor.reshaped(DeclaredTensor.reshaped(probe, shape, inner).get(), inner, shape)
            .isEmpty()) {
      throw tensor.bad("reshape", "a shape of as many elements, and as many -1, as dims have");
    }
  }

  private static DataType dataType(TextMessage tensor) {
    String name = tensor.text("data_type").orElse("");
    if (name.equals(TYPE_PREFIX + "STRING")) {
      return DataType.BYTES;
    }
    for (DataType type : DataType.values()) {
      if (type != DataType.BYTES && name.equals(TYPE_PREFIX + type)) {
        return type;
      }
    }
    throw tensor.bad("data_type", "a type, as TYPE_FP32 or TYPE_STRING");
  }

  private static Shape shape(TextMessage tensor, String field, boolean batched) {
    List<Long> sizes = new ArrayList<>(tensor.integers(field, Shape.ANY, Integer.MAX_VALUE));
    if (sizes.isEmpty() && field.equals("dims")) {
      throw tensor.bad("dims", "sizes, -1 where any will do, as in [ 3, 224, 224 ]");
    }
    if (batched) {
      sizes.addFirst(Shape.ANY);
    }
    try {
      return Shape.of(sizes.stream().mapToLong(Long::longValue).toArray());
    } catch (InferenceException e) {
      throw tensor.bad(field, "a shape (%s)".formatted(e.getMessage()));
    }
  }

  private List<WarmUpSample> warmUps(boolean batched) {
    List<WarmUpSample> samples = new ArrayList<>();
    for (TextMessage sample : message.messages("model_warmup")) {
      List<WarmUpSample.Input> inputs = new ArrayList<>();
      sample.map("inputs").forEach((name, input) -> inputs.add(input(name, input)));
      if (inputs.isEmpty()) {
        throw sample.bad("inputs", "at least one input");
      }
      int rows = sample.integer("batch_size", 0, 1 << 20).orElse(0);
      samples.add(
          new WarmUpSample(
              sample.place(),
              sample.text("name").orElse(""),
              batched ? Math.max(1, rows) : 0,
              Math.max(1, sample.integer("count", 0, 1 << 20).orElse(1)),
              inputs));
    }
    return samples;
  }

  private static WarmUpSample.Input input(String name, TextMessage input) {
    Optional<String> file = input.text("input_data_file");
    boolean zero = input.bool("zero_data").orElse(false);
    boolean random = input.bool("random_data").orElse(false);
    if ((file.isPresent() ? 1 : 0) + (zero ? 1 : 0) + (random ? 1 : 0) != 1) {
      throw input.bad("zero_data", "one of zero_data, random_data and input_data_file");
    }
    Shape shape = shape(input, "dims", false);
    if (!shape.isConcrete()) {
      throw input.bad("dims", "sizes from 0 on");
    }
    return new WarmUpSample.Input(
        name,
        dataType(input),
        shape,
        zero
            ? WarmUpSample.Values.ZERO
            : random ? WarmUpSample.Values.RANDOM : WarmUpSample.Values.FILE,
        file);
  }
}

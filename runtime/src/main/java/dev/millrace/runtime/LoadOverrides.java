package dev.millrace.runtime;

import dev.millrace.api.Settings;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * What a call of the repository protocol says about how to load a model. Takes the keys of {@code
 * model.yaml}, and those of Triton's model configuration that mean the same; keys of that
 * configuration that only describe the model are passed over, so that a client can send back what
 * it was given.
 */
final class LoadOverrides {
  private static final Set<String> DESCRIPTIVE =
      Set.of("name", "platform", "input", "output", "default-model-filename");

  private LoadOverrides() {}

  /**
   * The options that {@code overrides} stand for.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT for a key or value that does not
   *     do
   */
  static ModelOptions read(Map<String, Object> overrides) {
    if (overrides.isEmpty()) {
      return ModelOptions.none();
    }
    Map<String, Object> values = new LinkedHashMap<>();
    Map<String, Object> sections = new LinkedHashMap<>();
    overrides.forEach((key, value) -> {
      String ours = key.replace('_', '-');
      if (ours.equals("instance-group")) {
        values.put("instance-groups", instanceGroups(value));
      } else if (ours.equals("backend")) {
        values.put(ours, TritonBackends.translate(value.toString()));
      } else if (ours.equals("dynamic-batching")) {
        sections.put("dynamic_batching", value);
      } else if (!DESCRIPTIVE.contains(ours)) {
        values.put(ours, value);
      }
    });
    Settings settings = Settings.of("Invalid config override", values);
    Settings triton = Settings.of("Invalid config override", sections);
    ModelOptions options =
        ModelOptions.read(settings)
            .over(PlatformBatching.triton(triton.section("dynamic_batching")));
    settings.rejectUnknown();
    triton.rejectUnknown();
    return options;
  }

  /** Triton's {@code instance_group} as our list of groups; what does not do is refused there. */
  private static Object instanceGroups(Object groups) {
    if (!(groups instanceof List<?> list)) {
      return groups;
    }
    List<Object> ours = new ArrayList<>();
    for (Object group : list) {
      ours.add(group instanceof Map<?, ?> map ? instanceGroup(map) : group);
    }
    return ours;
  }

  private static Map<String, Object> instanceGroup(Map<?, ?> group) {
    Object gpus = group.get("gpus") instanceof List<?> list && !list.isEmpty() ? list : null;
    String kind = String.valueOf(group.get("kind"));
    Map<String, Object> ours = new LinkedHashMap<>();
    ours.put(
        "device",
        switch (kind) {
          case "KIND_CPU" -> "cpu";
          case "KIND_GPU" -> "gpu";
          case "KIND_AUTO", "KIND_MODEL", "null" -> gpus == null ? "auto" : "gpu";
          default -> kind;
        });
    ours.put("count-each", Objects.requireNonNullElse(group.get("count"), 1));
    if (gpus != null) {
      ours.put("devices", gpus);
    }
    return ours;
  }
}

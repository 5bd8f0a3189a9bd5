package dev.millrace.runtime;

import dev.millrace.api.Settings;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
        values.put("instances", instances(value));
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

  /** The sum of the groups' counts, as Triton reads {@code instance_group}. */
  private static Object instances(Object groups) {
    if (!(groups instanceof List<?> list)) {
      return groups;
    }
    int sum = 0;
    for (Object group : list) {
      if (group instanceof Map<?, ?> map) {
        Object count = map.containsKey("count") ? map.get("count") : 1;
        sum +=
            Settings.of("Invalid config override", Map.of("count", count == null ? 1 : count))
                .integer("count", 1, 1024)
                .orElse(1);
      }
    }
    return sum;
  }
}

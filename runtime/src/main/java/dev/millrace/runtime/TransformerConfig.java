package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * One entry of the list {@code transformers} in a {@code model.yaml}: the name of its kind, alone
 * or as the only key of a section with its options.
 *
 * @param source the file, for people
 * @param index in the list, from 0
 * @param options as they were read
 */
record TransformerConfig(String source, int index, String kind, Map<?, ?> options) {
  static final String KEY = "transformers";

  /**
   * The list in {@code settings}; empty if there is none.
   *
   * @throws InferenceException INVALID_ARGUMENT if an entry is not one
   */
  static List<TransformerConfig> read(Settings settings) {
    List<TransformerConfig> configs = new ArrayList<>();
    for (Object entry : settings.list(KEY)) {
      configs.add(read(settings, configs.size(), entry));
    }
    return configs;
  }

  private static TransformerConfig read(Settings settings, int index, Object entry) {
    String expected = "the name of a transformer, alone or with its options as a section";
    if (entry instanceof String kind) {
      return new TransformerConfig(settings.source(), index, kind, Map.of());
    }
    if (entry instanceof Map<?, ?> map && map.size() == 1) {
      Map.Entry<?, ?> only = map.entrySet().iterator().next();
      Object options = only.getValue() == null ? Map.of() : only.getValue();
      if (options instanceof Map<?, ?> section) {
        return new TransformerConfig(
            settings.source(), index, String.valueOf(only.getKey()), section);
      }
    }
    throw settings.bad("%s[%d]".formatted(KEY, index), entry, expected);
  }

  /** File and key, for errors. */
  String place() {
    return "%s: %s[%d]".formatted(source, KEY, index);
  }

  /** The options, to be read anew. */
  Settings settings() {
    String entry = "%s[%d]".formatted(KEY, index);
    return Settings.of(source, Map.of(entry, Map.of(kind, options))).section(entry).section(kind);
  }
}

package dev.millrace.runtime;

import dev.millrace.api.Settings;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Names for versions of a model, as in {@code stable} and {@code canary}, by which clients of TF
 * Serving's protocols can ask for them.
 *
 * @param versions the version that each label stands for, by label
 */
public record VersionLabels(Map<String, String> versions) {
  static final VersionLabels NONE = new VersionLabels(Map.of());

  public VersionLabels {
    Map<String, String> canonical = new LinkedHashMap<>();
    versions.forEach((label, version) -> canonical.put(label, Versions.canonical(version)));
    versions = Map.copyOf(canonical);
  }

  /**
   * The labels under {@code key}: a map of labels to versions, or a text in the form of {@code
   * stable=3,canary=4}.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT if it is neither
   */
  public static Optional<VersionLabels> read(Settings settings, String key) {
    return settings
        .value(key)
        .map(value ->
            parse(value)
                .orElseThrow(() ->
                    settings.bad(key, value, "labels and versions, as in stable=3,canary=4")));
  }

  private static Optional<VersionLabels> parse(Object value) {
    Map<String, String> versions = new LinkedHashMap<>();
    if (value instanceof Map<?, ?> map) {
      for (Map.Entry<?, ?> entry : map.entrySet()) {
        if (!put(versions, String.valueOf(entry.getKey()), entry.getValue())) {
          return Optional.empty();
        }
      }
      return Optional.of(new VersionLabels(versions));
    }
    for (String part : value.toString().strip().split("\\s*,\\s*", -1)) {
      int equals = part.indexOf('=');
      if (equals < 0
          || !put(
              versions, part.substring(0, equals).strip(), part.substring(equals + 1).strip())) {
        return Optional.empty();
      }
    }
    return Optional.of(new VersionLabels(versions));
  }

  private static boolean put(Map<String, String> versions, String label, @Nullable Object version) {
    String number = String.valueOf(version);
    return label.matches("[^\\s/:,=]+")
        && Versions.isNumeric(number)
        && versions.put(label, number) == null;
  }

  /** The labels in the form of {@code stable=3,canary=4}. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    versions.entrySet().stream()
        .sorted(Map.Entry.comparingByKey())
        .forEach(entry ->
            text.append(text.isEmpty() ? "" : ",")
                .append(entry.getKey())
                .append('=')
                .append(entry.getValue()));
    return text.toString();
  }
}

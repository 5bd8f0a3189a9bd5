package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Which of the versions found are served. */
public sealed interface VersionPolicy {
  /** The newest ones, at most {@code count}; the newest alone is what is served by default. */
  record Latest(int count) implements VersionPolicy {
    public Latest {
      if (count < 1) {
        throw new IllegalArgumentException("count must be positive: " + count);
      }
    }
  }

  /** All. */
  record All() implements VersionPolicy {}

  /** These, which all must be there. */
  record Specific(List<String> versions) implements VersionPolicy {
    public Specific {
      versions = versions.stream().map(Versions::canonical).toList();
    }
  }

  /**
   * The policy under {@code key}: {@code latest}, {@code all}, a list of versions, or a map in the
   * form of {@code latest: 2} or {@code specific: [1, 3]}. Triton's {@code latest: {num_versions:
   * 2}} and {@code specific: {versions: [1, 3]}} are understood too.
   *
   * @throws InferenceException INVALID_ARGUMENT if it is none of these
   */
  static Optional<VersionPolicy> read(Settings settings, String key) {
    return settings
        .value(key)
        .map(value ->
            parse(value)
                .orElseThrow(() ->
                    settings.bad(key, value, "latest, all, a list of versions or latest: N")));
  }

  private static Optional<VersionPolicy> parse(@Nullable Object value) {
    return switch (value) {
      case List<?> list -> versions(list).map(Specific::new);
      case Map<?, ?> map when map.size() == 1 -> {
        Map.Entry<?, ?> entry = map.entrySet().iterator().next();
        yield parse(String.valueOf(entry.getKey()), entry.getValue());
      }
      case String text when text.equals("latest") -> Optional.of(new Latest(1));
      case String text when text.equals("all") -> Optional.of(new All());
      case null, default ->
          value != null && Versions.isNumeric(value.toString())
              ? Optional.of(new Specific(List.of(value.toString())))
              : Optional.empty();
    };
  }

  private static Optional<VersionPolicy> parse(String kind, @Nullable Object value) {
    return switch (kind) {
      case "latest" ->
          number(value instanceof Map<?, ?> map ? map.get("num_versions") : value).map(Latest::new);
      case "all" -> Optional.of(new All());
      case "specific" ->
          (value instanceof Map<?, ?> map ? map.get("versions") : value) instanceof List<?> list
              ? versions(list).map(Specific::new)
              : Optional.empty();
      default -> Optional.empty();
    };
  }

  private static Optional<Integer> number(@Nullable Object value) {
    String text = String.valueOf(value);
    return text.matches("[1-9]\\d{0,8}") ? Optional.of(Integer.valueOf(text)) : Optional.empty();
  }

  private static Optional<List<String>> versions(List<?> list) {
    List<String> versions = new ArrayList<>();
    for (Object version : list) {
      if (!Versions.isNumeric(String.valueOf(version))) {
        return Optional.empty();
      }
      versions.add(String.valueOf(version));
    }
    return versions.isEmpty() ? Optional.empty() : Optional.of(versions);
  }
}

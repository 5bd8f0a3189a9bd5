package dev.millrace.api;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * One level of a configuration: keys in lower case with dashes, and values as a YAML reader gives
 * them. Reading a key makes it known; {@link #rejectUnknown} then refuses every key that nobody
 * read, so that the code that reads the settings is also their schema.
 *
 * <p>Every error is an {@link InferenceException} with INVALID_ARGUMENT that names the file, the
 * key and what was expected. Not thread-safe.
 */
public final class Settings {
  private static final Pattern DURATION =
      Pattern.compile("(\\d+(?:\\.\\d+)?)\\s*(ns|us|ms|s|m|h|d)");
  private static final Pattern SIZE =
      Pattern.compile("(\\d+(?:\\.\\d+)?)\\s*(B|KB|MB|GB|KiB|MiB|GiB)?", Pattern.CASE_INSENSITIVE);

  private final String source;
  private final String prefix;
  private final Map<String, Object> values;
  private final Set<String> known = new LinkedHashSet<>();
  private final List<Settings> children = new ArrayList<>();

  private Settings(String source, String prefix, Map<String, Object> values) {
    this.source = source;
    this.prefix = prefix;
    this.values = values;
  }

  /**
   * Settings from {@code source}, a file name for people.
   *
   * @param values texts, booleans, numbers, lists and maps of such; not copied
   */
  public static Settings of(String source, Map<String, Object> values) {
    return new Settings(source, "", values);
  }

  /** Settings without any value. */
  public static Settings empty(String source) {
    return of(source, Map.of());
  }

  /** Where the settings come from, for people. */
  public String source() {
    return source;
  }

  /** The keys that have a value. */
  public Set<String> keys() {
    return values.keySet();
  }

  private @Nullable Object get(String key) {
    known.add(key);
    return values.get(key);
  }

  /** Whatever is under {@code key}, as the reader gave it. */
  public Optional<Object> value(String key) {
    return Optional.ofNullable(get(key));
  }

  /** The text, number or truth value under {@code key}, as text. */
  public Optional<String> string(String key) {
    Object value = get(key);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof Map || value instanceof List) {
      throw bad(key, value, "a text");
    }
    return Optional.of(value.toString());
  }

  /** The whole number under {@code key}, from {@code min} to {@code max}. */
  public Optional<Integer> integer(String key, int min, int max) {
    Object value = get(key);
    if (value == null) {
      return Optional.empty();
    }
    String expected = "a whole number from %d to %d".formatted(min, max);
    try {
      int number = Integer.parseInt(value.toString().strip());
      if (number >= min && number <= max) {
        return Optional.of(number);
      }
    } catch (NumberFormatException e) {
      throw bad(key, value, expected);
    }
    throw bad(key, value, expected);
  }

  /** The truth value under {@code key}. */
  public Optional<Boolean> bool(String key) {
    Object value = get(key);
    if (value == null) {
      return Optional.empty();
    }
    return switch (value.toString().strip().toLowerCase(Locale.ROOT)) {
      case "true" -> Optional.of(true);
      case "false" -> Optional.of(false);
      default -> throw bad(key, value, "true or false");
    };
  }

  /** The constant under {@code key}, written in lower case with dashes. */
  public <E extends Enum<E>> Optional<E> oneOf(String key, Class<E> type) {
    Object value = get(key);
    if (value == null) {
      return Optional.empty();
    }
    List<String> names = new ArrayList<>();
    for (E constant : type.getEnumConstants()) {
      String name = constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
      if (name.equals(value.toString().strip().toLowerCase(Locale.ROOT).replace('_', '-'))) {
        return Optional.of(constant);
      }
      names.add(name);
    }
    throw bad(key, value, "one of " + String.join(", ", names));
  }

  /** The time span under {@code key}, as in {@code 10ms}. */
  public Optional<Duration> duration(String key) {
    Object value = get(key);
    return value == null
        ? Optional.empty()
        : Optional.of(parseDuration(value.toString()).orElseThrow(() -> badDuration(key, value)));
  }

  private InferenceException badDuration(String key, Object value) {
    return bad(key, value, "a time span with a unit, as in 10ms, 2s or 5m");
  }

  /** The number of bytes under {@code key}, as in {@code 64MB}; KB, MB and GB count in 1024s. */
  public Optional<Long> size(String key) {
    Object value = get(key);
    return value == null
        ? Optional.empty()
        : Optional.of(
            parseSize(value.toString())
                .orElseThrow(() -> bad(key, value, "a size with a unit, as in 64MB or 512KB")));
  }

  /** The list under {@code key}; empty if there is none. A single value is a list of one. */
  public List<Object> list(String key) {
    Object value = get(key);
    return switch (value) {
      case null -> List.of();
      case List<?> list -> List.copyOf(list);
      case Map<?, ?> map -> throw bad(key, map, "a list");
      default -> List.of(value);
    };
  }

  /** The settings under {@code key}; empty ones if there are none. */
  public Settings section(String key) {
    Object value = get(key);
    if (value != null && !(value instanceof Map)) {
      throw bad(key, value, "a section of keys and values");
    }
    Settings section = child(key, value == null ? Map.of() : (Map<?, ?>) value);
    children.add(section);
    return section;
  }

  /** The sections listed under {@code key}; empty if there are none. */
  public List<Settings> sections(String key) {
    List<Settings> sections = new ArrayList<>();
    for (Object value : list(key)) {
      if (!(value instanceof Map<?, ?> map)) {
        throw bad(key, value, "a list of sections");
      }
      Settings section = child(key + "[" + sections.size() + "]", map);
      sections.add(section);
      children.add(section);
    }
    return sections;
  }

  private Settings child(String key, Map<?, ?> map) {
    Map<String, Object> copy = new java.util.LinkedHashMap<>();
    map.forEach((k, v) -> copy.put(String.valueOf(k), v));
    return new Settings(source, prefix + key + ".", copy);
  }

  /** The error for a value that does not do: names the file, the key, the value and what would. */
  public InferenceException bad(String key, Object value, String expected) {
    return InferenceException.invalidArgument(
        "%s: %s%s: expected %s, got '%s'".formatted(source, prefix, key, expected, value));
  }

  /**
   * Refuses every key, here and in the sections that were read, that no method has asked for.
   *
   * @throws InferenceException INVALID_ARGUMENT that names the key and the nearest right one
   */
  public void rejectUnknown() {
    for (String key : values.keySet()) {
      if (!known.contains(key)) {
        Optional<String> nearest = nearest(key, known);
        throw InferenceException.invalidArgument(
            "%s: unknown key '%s%s'%s"
                .formatted(
                    source,
                    prefix,
                    key,
                    nearest
                        .map(name -> "; did you mean '" + name + "'?")
                        .orElse("; known are " + String.join(", ", known))));
      }
    }
    children.forEach(Settings::rejectUnknown);
  }

  /** The candidate that differs from {@code word} in the fewest letters, if those are few. */
  public static Optional<String> nearest(String word, Collection<String> candidates) {
    String best = null;
    int bestDistance = Math.max(2, word.length() / 3) + 1;
    for (String candidate : candidates) {
      int distance = editDistance(word, candidate);
      if (distance < bestDistance) {
        bestDistance = distance;
        best = candidate;
      }
    }
    return Optional.ofNullable(best);
  }

  /** Levenshtein's distance: insertions, deletions and replacements that turn a into b. */
  private static int editDistance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, Math.min(row[j], row[j - 1]) + 1);
      }
    }
    return row[b.length()];
  }

  /** The time span that {@code text} spells, as in {@code 1.5s}; empty if it spells none. */
  public static Optional<Duration> parseDuration(String text) {
    Matcher matcher = DURATION.matcher(text.strip());
    if (!matcher.matches()) {
      return Optional.empty();
    }
    double nanosPerUnit =
        switch (matcher.group(2)) {
          case "ns" -> 1;
          case "us" -> 1e3;
          case "ms" -> 1e6;
          case "s" -> 1e9;
          case "m" -> 60e9;
          case "h" -> 3600e9;
          default -> 86400e9;
        };
    return Optional.of(
        Duration.ofNanos((long) (Double.parseDouble(matcher.group(1)) * nanosPerUnit)));
  }

  /** The number of bytes that {@code text} spells; empty if it spells none. */
  public static Optional<Long> parseSize(String text) {
    Matcher matcher = SIZE.matcher(text.strip());
    if (!matcher.matches()) {
      return Optional.empty();
    }
    String unit = matcher.group(2) == null ? "b" : matcher.group(2).toLowerCase(Locale.ROOT);
    double bytesPerUnit =
        switch (unit.charAt(0)) {
          case 'k' -> 1 << 10;
          case 'm' -> 1 << 20;
          case 'g' -> 1 << 30;
          default -> 1;
        };
    return Optional.of((long) (Double.parseDouble(matcher.group(1)) * bytesPerUnit));
  }

  /** The keys and values. */
  @Override
  public String toString() {
    return values.toString();
  }
}

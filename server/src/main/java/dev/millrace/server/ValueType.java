package dev.millrace.server;

import dev.millrace.api.Settings;
import dev.millrace.runtime.BatchingOptions;
import dev.millrace.runtime.DeviceChoice;
import dev.millrace.runtime.VersionLabels;
import dev.millrace.runtime.VersionPolicy;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * A type of configured value.
 *
 * @param label what a value is, in a word
 * @param syntax how a value is written, for people
 * @param reader reads the value under a key, empty if there is none; refuses a bad one
 * @param writer writes a value so that the reader reads the same
 */
record ValueType<T>(
    String label,
    String syntax,
    BiFunction<Settings, String, Optional<T>> reader,
    Function<T, String> writer) {

  /** A text as it is. */
  static ValueType<String> text(String label) {
    return new ValueType<>(label, label, Settings::string, Function.identity());
  }

  /** The path of a URL. */
  static ValueType<String> path() {
    return new ValueType<>(
        "path",
        "path, as in /health",
        (settings, key) ->
            settings
                .string(key)
                .map(path -> {
                  if (!path.matches("/[^\\s?#{}]*")) {
                    throw settings.bad(key, path, "the path of a URL, which begins with /");
                  }
                  return path;
                }),
        Function.identity());
  }

  /** A whole number from {@code min} to {@code max}. */
  static ValueType<Integer> number(int min, int max) {
    String syntax = max == Integer.MAX_VALUE ? "number, at least " + min : min + " to " + max;
    return new ValueType<>(
        "number", syntax, (settings, key) -> settings.integer(key, min, max), String::valueOf);
  }

  /** A port, 0 for any free one. */
  static ValueType<Integer> port() {
    return new ValueType<>(
        "port",
        "port, 0 for any free one",
        (settings, key) -> settings.integer(key, 0, 65_535),
        String::valueOf);
  }

  /** A port, 0 for any free one, or {@code none}, which stands for {@code absent}. */
  static ValueType<Integer> portOrNone(int absent) {
    return new ValueType<>(
        "port",
        "port, 0 for any free one, or none",
        (settings, key) ->
            settings.value(key).filter("none"::equals).isPresent()
                ? Optional.of(absent)
                : settings.integer(key, 0, 65_535),
        port -> port == absent ? "none" : String.valueOf(port));
  }

  /** True or false. */
  static ValueType<Boolean> bool() {
    return new ValueType<>("true|false", "true or false", Settings::bool, String::valueOf);
  }

  /** A number of bytes, at least {@code min}. */
  static ValueType<Long> size(long min) {
    return new ValueType<>(
        "size",
        "size",
        (settings, key) ->
            settings
                .size(key)
                .map(bytes -> {
                  if (bytes < min) {
                    throw settings.bad(
                        key, settings.value(key).orElse(bytes), "a size of at least " + write(min));
                  }
                  return bytes;
                }),
        ValueType::write);
  }

  /** A number of bytes that fits an int, at least {@code min}. */
  static ValueType<Integer> intSize(int min) {
    ValueType<Long> size = size(min);
    return new ValueType<>(
        size.label(),
        size.syntax(),
        (settings, key) ->
            size.reader()
                .apply(settings, key)
                .map(bytes -> {
                  if (bytes > Integer.MAX_VALUE) {
                    throw settings.bad(
                        key, settings.value(key).orElse(bytes), "a size of less than 2GB");
                  }
                  return bytes.intValue();
                }),
        bytes -> write((long) bytes));
  }

  /** A time span. */
  static ValueType<Duration> time() {
    return new ValueType<>("time", "time", Settings::duration, ValueType::write);
  }

  /** A time span that is not zero. */
  static ValueType<Duration> positiveTime() {
    return new ValueType<>(
        "time",
        "time, more than none",
        (settings, key) ->
            settings
                .duration(key)
                .map(time -> {
                  if (!time.isPositive()) {
                    throw settings.bad(key, settings.value(key).orElse(time), "more than no time");
                  }
                  return time;
                }),
        ValueType::write);
  }

  /** One of a closed set, in lower case with dashes. */
  static <E extends Enum<E>> ValueType<E> oneOf(Class<E> type) {
    List<String> names = Arrays.stream(type.getEnumConstants()).map(ValueType::write).toList();
    return new ValueType<>(
        String.join("|", names),
        String.join(", ", names),
        (settings, key) -> settings.oneOf(key, type),
        ValueType::write);
  }

  /** Numbers of rows, as in {@code 1,4,16}. */
  static ValueType<List<Integer>> batchSizes() {
    return new ValueType<>(
        "sizes",
        "numbers of rows, as in 1,4,16",
        BatchingOptions::batchSizes,
        sizes -> sizes.stream().map(String::valueOf).collect(Collectors.joining(",")));
  }

  /** Where a model runs. */
  static ValueType<DeviceChoice> device() {
    String syntax = "auto, cpu, gpu or gpu:N";
    return new ValueType<>(
        "device",
        syntax,
        (settings, key) ->
            settings
                .string(key)
                .map(text ->
                    DeviceChoice.parse(text).orElseThrow(() -> settings.bad(key, text, syntax))),
        DeviceChoice::toString);
  }

  /**
   * Which versions are served. Where values are texts, {@code 1,3} stands for a list and {@code
   * latest:2} for {@code latest: 2}.
   */
  static ValueType<VersionPolicy> versionPolicy() {
    return new ValueType<>(
        "versions",
        "latest, latest:N, all, or versions as in 1,3",
        (settings, key) -> {
          Object value = settings.value(key).orElse("");
          return value instanceof String text && (text.contains(",") || text.contains(":"))
              ? VersionPolicy.read(Settings.of(settings.source(), Map.of(key, parts(text))), key)
              : VersionPolicy.read(settings, key);
        },
        policy ->
            switch (policy) {
              case VersionPolicy.Latest(int count) -> "latest:" + count;
              case VersionPolicy.All() -> "all";
              case VersionPolicy.Specific(List<String> versions) -> String.join(",", versions);
            });
  }

  /** Names for versions. */
  static ValueType<VersionLabels> versionLabels() {
    return new ValueType<>(
        "labels",
        "labels and versions, as in stable=3,canary=4",
        VersionLabels::read,
        VersionLabels::toString);
  }

  /**
   * Free keys and values: in a file a section, else {@code key=value;key=value}, with {@code \;}
   * for a semicolon in a value.
   */
  static ValueType<Map<String, Object>> properties() {
    String syntax = "key=value;key=value";
    return new ValueType<>(
        "settings",
        syntax,
        (settings, key) ->
            settings
                .value(key)
                .map(value -> {
                  Map<String, Object> properties = new LinkedHashMap<>();
                  if (value instanceof Map<?, ?> map) {
                    map.forEach((name, each) -> properties.put(String.valueOf(name), each));
                    return properties;
                  }
                  for (String pair : value.toString().split("(?<!\\\\);", -1)) {
                    int equals = pair.indexOf('=');
                    if (equals >= 1) {
                      properties.put(
                          pair.substring(0, equals).strip(),
                          pair.substring(equals + 1).replace("\\;", ";").strip());
                    } else if (!pair.isBlank()) {
                      throw settings.bad(key, value, syntax);
                    }
                  }
                  return properties;
                }),
        ValueType::writeProperties);
  }

  /** Only the keys: a value may be a password. */
  private static String writeProperties(Map<String, Object> properties) {
    return properties.keySet().stream().map(key -> key + "=…").collect(Collectors.joining(";"));
  }

  private static Object parts(String text) {
    int colon = text.indexOf(':');
    return colon < 0
        ? List.of(text.strip().split("\\s*,\\s*"))
        : Map.of(text.substring(0, colon).strip(), text.substring(colon + 1).strip());
  }

  private static String write(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  private static String write(long bytes) {
    String[] units = {"B", "KB", "MB", "GB"};
    int unit = 0;
    long count = bytes;
    while (unit < units.length - 1 && count != 0 && count % 1024 == 0) {
      count /= 1024;
      unit++;
    }
    return count + units[unit];
  }

  private static String write(Duration time) {
    long nanos = time.toNanos();
    String[] units = {"ns", "us", "ms", "s", "m", "h"};
    long[] steps = {1000, 1000, 1000, 60, 60};
    int unit = 0;
    if (nanos == 0) {
      return "0s";
    }
    while (unit < steps.length && nanos % steps[unit] == 0) {
      nanos /= steps[unit];
      unit++;
    }
    return nanos + units[unit];
  }
}

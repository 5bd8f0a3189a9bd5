package dev.millrace.backend.llm;

import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * The options of vLLM as its configuration file has them: long names without dashes in front, with
 * dashes or underscores between.
 *
 * <p>The engine could read the file itself ({@code --config}), but up to 0.8 it takes lists and
 * maps wrongly, so the options are made arguments here, by the rules of the version that is
 * started. Later versions give truth values a negative form ({@code --no-x}); earlier ones leave
 * out what is false, but for a few options that want the word.
 */
final class EngineOptions {
  private static final int MOST_BYTES = 1 << 20;

  /** Options of early versions that take True or False; the others of that kind take nothing. */
  private static final Set<String> EARLY_TRUTH_VALUES =
      Set.of("enable-chunked-prefill", "multi-step-stream-outputs");

  /** Options of late versions that have no negative form. */
  private static final Set<String> WITHOUT_NEGATIVE = Set.of("headless", "disable-log-stats");

  /** Options whose value is a JSON list, where others take several values. */
  private static final Set<String> JSON_LISTS =
      Set.of("allowed-origins", "allowed-methods", "allowed-headers");

  private final Map<String, Object> values;

  private EngineOptions(Map<String, Object> values) {
    this.values = values;
  }

  /** Options under whatever spelling. */
  static EngineOptions of(Map<String, ?> given) {
    Map<String, Object> values = new LinkedHashMap<>();
    given.forEach((key, value) -> values.put(key.replace('_', '-'), value));
    return new EngineOptions(values);
  }

  /**
   * The options in a file.
   *
   * @throws InferenceException INVALID_ARGUMENT if it cannot be read or has no keys and values
   */
  static EngineOptions read(Path file) {
    Object root;
    try {
      if (Files.size(file) > MOST_BYTES) {
        throw InferenceException.invalidArgument(
            "%s: longer than %d bytes".formatted(file, MOST_BYTES));
      }
      LoadSettings settings =
          LoadSettings.builder()
              .setLabel(file.toString())
              .setAllowDuplicateKeys(false)
              .setMaxAliasesForCollections(50)
              .build();
      root = new Load(settings).loadFromString(Files.readString(file));
    } catch (IOException | YamlEngineException e) {
      throw InferenceException.invalidArgument(
          "%s: is no configuration of an engine: %s".formatted(file, e.getMessage()));
    }
    if (root != null && !(root instanceof Map)) {
      throw InferenceException.invalidArgument(
          "%s: expected options of the engine, as in 'max-model-len: 4096'".formatted(file));
    }
    Map<String, Object> values = new LinkedHashMap<>();
    if (root instanceof Map<?, ?> map) {
      map.forEach((key, value) -> {
        if (value != null) {
          values.put(String.valueOf(key), value);
        }
      });
    }
    return of(values);
  }

  /** These options and others, which win. */
  EngineOptions with(EngineOptions others) {
    Map<String, Object> both = new LinkedHashMap<>(values);
    both.putAll(others.values);
    return new EngineOptions(both);
  }

  boolean has(String name) {
    return values.containsKey(name);
  }

  /** The values of an option; empty if it is not set. */
  List<String> list(String name) {
    Object value = values.get(name);
    return switch (value) {
      case null -> List.of();
      case List<?> list -> list.stream().map(EngineOptions::text).toList();
      default -> List.of(text(value));
    };
  }

  /** The only or first value of an option. */
  Optional<String> first(String name) {
    return list(name).stream().findFirst();
  }

  /** The names of the LoRA adapters: {@code name=path}, or JSON, or a map, with a name. */
  List<String> adapters() {
    Object value = values.get("lora-modules");
    List<?> modules =
        value == null ? List.of() : value instanceof List<?> list ? list : List.of(value);
    List<String> names = new ArrayList<>();
    for (Object module : modules) {
      if (module instanceof Map<?, ?> map && map.get("name") != null) {
        names.add(text(map.get("name")));
      } else if (module instanceof String text && !text.isBlank()) {
        names.addAll(adaptersIn(text.strip()));
      }
    }
    return names;
  }

  private static List<String> adaptersIn(String text) {
    if (text.startsWith("{")) { // JSON is YAML
      return new Load(LoadSettings.builder().build()).loadFromString(text) instanceof Map<?, ?> map
              && map.get("name") != null
          ? List.of(text(map.get("name")))
          : List.of();
    }
    List<String> names = new ArrayList<>();
    for (String module : text.split("\\s+", -1)) {
      int equals = module.indexOf('=');
      if (equals > 0) {
        names.add(module.substring(0, equals));
      }
    }
    return names;
  }

  /**
   * As arguments.
   *
   * @param without names that are left out
   */
  List<String> arguments(EngineVersion version, Set<String> without) {
    List<String> arguments = new ArrayList<>();
    values.forEach((name, value) -> {
      if (!without.contains(name)) {
        add(arguments, name, value, version);
      }
    });
    return arguments;
  }

  private static void add(
      List<String> arguments, String name, Object value, EngineVersion version) {
    switch (value) {
      case Boolean flag when version.isEarly() && EARLY_TRUTH_VALUES.contains(name) -> {
        arguments.add("--" + name);
        arguments.add(flag ? "True" : "False");
      }
      case Boolean flag -> {
        if (flag) {
          arguments.add("--" + name);
        } else if (!version.isEarly() && !WITHOUT_NEGATIVE.contains(name)) {
          arguments.add("--no-" + name);
        }
      }
      case List<?> list when !JSON_LISTS.contains(name) -> {
        if (!list.isEmpty()) {
          arguments.add("--" + name);
          list.forEach(element -> arguments.add(text(element)));
        }
      }
      default -> {
        arguments.add("--" + name);
        arguments.add(text(value));
      }
    }
  }

  /** A value as the engine reads it: texts and numbers as they are, all else as JSON. */
  private static String text(Object value) {
    return value instanceof Map || value instanceof List ? json(value) : String.valueOf(value);
  }

  private static String json(Object value) {
    return switch (value) {
      case null -> "null";
      case Map<?, ?> map ->
          "{"
              + String.join(
                  ", ",
                  map.entrySet().stream()
                      .map(entry ->
                          quoted(String.valueOf(entry.getKey())) + ": " + json(entry.getValue()))
                      .toList())
              + "}";
      case List<?> list ->
          "[" + String.join(", ", list.stream().map(EngineOptions::json).toList()) + "]";
      case Number number -> number.toString();
      case Boolean flag -> flag.toString();
      default -> quoted(value.toString());
    };
  }

  private static String quoted(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < ' ') {
        out.append("\\u%04x".formatted((int) c));
      } else {
        out.append(c);
      }
    }
    return out.append('"').toString();
  }
}

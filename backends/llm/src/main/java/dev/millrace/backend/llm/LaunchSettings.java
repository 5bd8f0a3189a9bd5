package dev.millrace.backend.llm;

import dev.millrace.api.Settings;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The section {@code llm.launch} of a model.yaml; {@code docs/llm-engines.md} is its user's page.
 *
 * @param command the engine's, with placeholders in braces
 * @param model what {@code {model}} stands for: a path below the model's directory, or a name
 * @param config YAML file with the engine's options, below the model's directory
 * @param options the engine's options, over those of the file
 * @param version the engine's; empty to ask it
 * @param port where it listens; 0 for one that is free
 * @param readyPath what answers 200 when it can be used
 * @param stopTimeout how long it may take to end before it is killed
 * @param restartDelay before it is started again the first time
 */
record LaunchSettings(
    List<String> command,
    Optional<String> model,
    Optional<String> config,
    Map<String, Object> options,
    Optional<String> version,
    String host,
    int port,
    Map<String, String> environment,
    Duration keepAlive,
    String readyPath,
    Duration readyTimeout,
    Duration stopTimeout,
    Duration restartDelay) {
  private static final String USUAL_COMMAND = "vllm serve {model}";

  LaunchSettings {
    command = List.copyOf(command);
    options = Map.copyOf(options);
    environment = Map.copyOf(environment);
  }

  /** What holds if nothing is said, as for a deployment that has only a configuration file. */
  static LaunchSettings defaults() {
    return read(Settings.empty("launch"));
  }

  /**
   * Reads the section.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT that names the key and what was
   *     expected
   */
  static LaunchSettings read(Settings settings) {
    Settings options = settings.section("options");
    Map<String, Object> given = new LinkedHashMap<>();
    for (String key : options.keys()) {
      options.value(key).ifPresent(value -> given.put(key, value));
    }
    Settings variables = settings.section("environment");
    Map<String, String> environment = new LinkedHashMap<>();
    for (String key : variables.keys()) {
      variables.string(key).ifPresent(value -> environment.put(key, value));
    }
    String readyPath = settings.string("ready-path").orElse("/health");
    if (!readyPath.startsWith("/")) {
      throw settings.bad("ready-path", readyPath, "a path that begins with /");
    }
    return new LaunchSettings(
        command(settings),
        settings.string("model"),
        settings.string("config"),
        given,
        settings.string("version"),
        settings.string("host").orElse("127.0.0.1"),
        settings.integer("port", 0, 65535).orElse(0),
        environment,
        settings.duration("keep-alive").orElse(Duration.ofSeconds(120)),
        readyPath,
        settings.duration("ready-timeout").orElse(Duration.ofMinutes(30)),
        settings.duration("stop-timeout").orElse(Duration.ofSeconds(30)),
        settings.duration("restart-delay").orElse(Duration.ofSeconds(1)));
  }

  private static List<String> command(Settings settings) {
    List<Object> listed = settings.list("command");
    List<String> words =
        listed.size() > 1
            ? listed.stream().map(Object::toString).toList()
            : words(listed.isEmpty() ? USUAL_COMMAND : listed.getFirst().toString());
    if (words.isEmpty()) {
      throw settings.bad("command", "", "the command that starts the engine");
    }
    return words;
  }

  private static List<String> words(String text) {
    return Arrays.stream(text.split("\\s+", -1)).filter(word -> !word.isEmpty()).toList();
  }
}

package dev.millrace.backend.llm;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * How an engine is started, and what it will be called by.
 *
 * @param words the command, with placeholders for host and port
 * @param environment over the server's own
 * @param directory where it runs
 * @param served the model's name there; empty if it is the deployment's
 * @param adapters names of LoRA adapters
 * @param key that it asks for
 */
record EngineCommand(
    List<String> words,
    Map<String, String> environment,
    Path directory,
    Optional<String> served,
    List<String> adapters,
    Optional<String> key) {
  private static final String MODEL = "{model}";
  private static final String NAME = "{name}";
  private static final String HOST = "{host}";
  private static final String PORT = "{port}";

  /** Options that are the server's to choose. */
  private static final Set<String> OWN = Set.of("host", "port", "uds", "model", "config");

  EngineCommand {
    words = List.copyOf(words);
    environment = Map.copyOf(environment);
    adapters = List.copyOf(adapters);
  }

  /**
   * The command for a model; asks the engine for its version if options depend on it.
   *
   * @param directory of the model's files
   * @param variables the server's environment
   * @throws InferenceException FAILED_PRECONDITION if a file is not there, INVALID_ARGUMENT if the
   *     configuration is none
   */
  static EngineCommand of(
      LaunchSettings launch, ModelId id, Path directory, Map<String, String> variables) {
    Optional<Path> config =
        launch.config().map(name -> file(directory, name)).or(() -> deployed(directory, variables));
    EngineOptions options =
        config
            .map(EngineOptions::read)
            .orElse(EngineOptions.of(Map.of()))
            .with(EngineOptions.of(launch.options()));
    Map<String, String> environment = environment(launch, id, directory, config, variables);
    List<String> words = new ArrayList<>();
    boolean isCustom = launch.command().stream().anyMatch(word -> word.contains(PORT));
    String model = model(launch, options, directory);
    for (String word : launch.command()) {
      words.add(word.replace(MODEL, model).replace(NAME, id.name()));
    }
    if (!isCustom) {
      words.addAll(List.of("--host", HOST, "--port", PORT));
      if (!options.has("served-model-name")) {
        words.addAll(List.of("--served-model-name", id.name()));
      }
    }
    if (!options.arguments(EngineVersion.NEWEST, OWN).isEmpty()) {
      EngineVersion version =
          launch
              .version()
              .map(EngineVersion::of)
              .orElseGet(() -> EngineVersion.ask(launch.command(), environment));
      words.addAll(options.arguments(version, OWN));
    }
    List<String> names = options.list("served-model-name");
    return new EngineCommand(
        words,
        environment,
        directory,
        names.isEmpty() || names.contains(id.name())
            ? Optional.empty()
            : options.first("served-model-name"),
        options.adapters(),
        options.first("api-key").or(() -> Optional.ofNullable(environment.get("VLLM_API_KEY"))));
  }

  /** The model's path, if the words name one below the directory, else the words. */
  private static String model(LaunchSettings launch, EngineOptions options, Path directory) {
    return launch
        .model()
        .or(() -> options.first("model"))
        .map(name ->
            Files.exists(directory.resolve(name)) ? directory.resolve(name).toString() : name)
        .orElse(directory.toString());
  }

  private static Path file(Path directory, String name) {
    Path file = directory.resolve(name);
    if (!Files.isRegularFile(file)) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "llm.launch.config: there is no file '%s' in %s".formatted(name, directory));
    }
    return file;
  }

  /** The file that a platform deploys along with the model in that directory. */
  private static Optional<Path> deployed(Path directory, Map<String, String> variables) {
    return Deployment.of(variables)
        .filter(deployment -> deployment.isAbout(directory))
        .flatMap(Deployment::config);
  }

  private static Map<String, String> environment(
      LaunchSettings launch,
      ModelId id,
      Path directory,
      Optional<Path> config,
      Map<String, String> variables) {
    Map<String, String> environment = new LinkedHashMap<>();
    environment.put("MODEL_FILES_PATH", directory.toString());
    environment.put("ARTIFACT_FILES_PATH", directory.toString());
    config.ifPresent(file -> environment.put("CONFIG_FILE_PATH", file.toString()));
    environment.put("DEPLOYMENT_NAME", id.name());
    environment.put("MODEL_NAME", id.name());
    environment.put("MODEL_VERSION", id.version());
    environment.put("ARTIFACT_VERSION", id.version());
    if (Deployment.of(variables).filter(deployment -> deployment.isAbout(directory)).isPresent()) {
      environment.keySet().removeIf(variables::containsKey); // the platform knows better
    }
    if (!variables.containsKey("VLLM_HTTP_TIMEOUT_KEEP_ALIVE")) {
      environment.put(
          "VLLM_HTTP_TIMEOUT_KEEP_ALIVE",
          Long.toString(Math.max(1, launch.keepAlive().toSeconds())));
    }
    environment.putAll(launch.environment());
    return environment;
  }

  /** The words for an address. */
  List<String> at(String host, int port) {
    return words.stream()
        .map(word -> word.replace(HOST, host).replace(PORT, Integer.toString(port)))
        .toList();
  }
}

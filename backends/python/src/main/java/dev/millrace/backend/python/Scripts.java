package dev.millrace.backend.python;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.TensorSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The scripts of one model, and what their processes are started with.
 *
 * @param directory of the model's files
 * @param predictor script or pickled model; null if there is only a transformer
 * @param transformer null if there is none
 */
record Scripts(
    ModelId id,
    Path directory,
    @Nullable Path predictor,
    @Nullable Path transformer,
    PythonSettings settings,
    ScriptFiles files) {

  /** Calls that a language model answers at the same time, unless it is more. */
  private static final int GENERATIONS = 64;

  private static final List<String> GENERATOR_WORDS =
      List.of("vllm_engine", "create_completion", "create_chat_completion");

  /** The file that a setting names: an absolute path, or one below {@code directory}. */
  static Path named(Path directory, String name, String key) {
    Path file = directory.resolve(name);
    if (!Files.isRegularFile(file)) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s: there is no file '%s' in %s".formatted(key, name, directory));
    }
    return file;
  }

  /**
   * What the workers are started with.
   *
   * @param calls how many calls there are at the same time; each process answers some of them
   * @param threads that libraries in the script may compute with
   * @param inner what the model behind a transformer declares
   */
  WorkerSpec spec(int calls, int threads, List<TensorSpec> inner) {
    int connections = Math.min(calls, settings.concurrency());
    int workers = (calls + connections - 1) / connections;
    Path main = main();
    Path scripts = parent(main);
    Map<String, String> options = new LinkedHashMap<>();
    options.put("script", main.toAbsolutePath().toString());
    options.put("predictor", text(predictor));
    options.put("transformer", text(transformer));
    options.put("class", settings.className().orElse(""));
    options.put(
        "transformer-class",
        predictor == null
            ? settings.className().orElse("")
            : settings.transformerClass().orElse(""));
    options.put("envelope", settings.envelope().name().toLowerCase(Locale.ROOT));
    options.put("inputs-as", settings.inputsAs().name().toLowerCase(Locale.ROOT).replace('_', '-'));
    options.put("name", id.name());
    options.put("inner-inputs", text(inner));
    options.put("outputs", text(settings.outputs()));
    options.put("connections", Integer.toString(connections));
    options.put("memory-limit", Long.toString(settings.memoryLimit()));
    return new WorkerSpec(
        id.name(),
        List.of(interpreter()),
        scripts,
        environment(main, threads),
        options,
        workers,
        connections,
        settings.startTimeout(),
        settings.callTimeout());
  }

  /** The same for a script that is a language model: one process, however many calls. */
  WorkerSpec generatorSpec(int threads) {
    int calls = Math.max(GENERATIONS, settings.concurrency());
    WorkerSpec spec = spec(1, threads, List.of());
    Map<String, String> options = new LinkedHashMap<>(spec.options());
    options.put("connections", Integer.toString(calls));
    return new WorkerSpec(
        spec.name(),
        spec.interpreter(),
        spec.directory(),
        spec.environment(),
        options,
        1,
        calls,
        spec.startTimeout(),
        spec.callTimeout());
  }

  /** Whether the predictor is a language model, going by what its source mentions. */
  boolean generates() {
    if (predictor == null || !ScriptFiles.isScript(predictor)) {
      return false;
    }
    try {
      String source = Files.readString(predictor);
      return GENERATOR_WORDS.stream().anyMatch(source::contains);
    } catch (IOException e) {
      return false; // whoever runs it says what is wrong
    }
  }

  private Path main() {
    Path main = predictor == null ? transformer : predictor;
    if (main == null) {
      throw new IllegalStateException("no script");
    }
    return main;
  }

  private static Path parent(Path file) {
    Path parent = file.toAbsolutePath().getParent();
    return parent == null ? Path.of("/") : parent;
  }

  private static String text(@Nullable Path file) {
    return file == null ? "" : file.toAbsolutePath().toString();
  }

  private static String text(List<TensorSpec> specs) {
    return specs.stream()
        .map(spec ->
            "%s\t%s\t%s"
                .formatted(
                    spec.name(),
                    spec.dataType(),
                    Arrays.stream(spec.shape().dims())
                        .mapToObj(Long::toString)
                        .collect(Collectors.joining(","))))
        .collect(Collectors.joining("\n"));
  }

  /**
   * The interpreter's command: a virtual environment's, a file's, or a name for the {@code PATH}. A
   * relative path is looked for below the model's directory first.
   */
  String interpreter() {
    String name = settings.interpreter();
    for (Path base : List.of(directory.toAbsolutePath(), Path.of("").toAbsolutePath())) {
      Path place = base.resolve(name);
      Path inEnvironment = place.resolve("bin").resolve("python");
      if (Files.isExecutable(inEnvironment)) {
        return inEnvironment.toString();
      }
      if (Files.isRegularFile(place) && name.contains("/")) {
        return place.toString();
      }
    }
    return name;
  }

  /** The variables that Hopsworks documents, and what makes Python fit to be a worker. */
  private Map<String, String> environment(Path main, int threads) {
    Map<String, String> variables = new LinkedHashMap<>();
    boolean deployed = files.isDeployed(directory);
    Path artifacts = parent(main);
    Optional<Path> config = settings.config().map(name -> named(directory, name, "config-file"));
    variables.put("MODEL_FILES_PATH", directory.toAbsolutePath().toString());
    variables.put("ARTIFACT_FILES_PATH", artifacts.toString());
    config.ifPresent(file -> variables.put("CONFIG_FILE_PATH", file.toAbsolutePath().toString()));
    variables.put("DEPLOYMENT_NAME", id.name());
    variables.put("MODEL_NAME", id.name());
    variables.put("MODEL_VERSION", id.version());
    variables.put("ARTIFACT_VERSION", id.version());
    variables.put("DEPLOYMENT_VERSION", id.version());
    if (deployed) { // then the platform knows better
      variables.keySet().removeIf(files.environment()::containsKey);
    }
    variables.put("SCRIPT_PATH", main.toAbsolutePath().toString());
    variables.put("SCRIPT_NAME", ScriptFiles.name(main));
    variables.put(predictor == null ? "IS_TRANSFORMER" : "IS_PREDICTOR", "true");
    for (String library : List.of("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")) {
      if (!files.environment().containsKey(library)) {
        variables.put(library, Integer.toString(threads));
      }
    }
    variables.put("PYTHONIOENCODING", "utf-8:backslashreplace");
    variables.put("PYTHONDONTWRITEBYTECODE", "1");
    variables.putAll(settings.environment());
    return variables;
  }
}

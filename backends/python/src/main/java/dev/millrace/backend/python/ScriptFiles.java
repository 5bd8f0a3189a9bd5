package dev.millrace.backend.python;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * Finds scripts and pickled models by their names.
 *
 * @param environment the server's, in which Hopsworks says where a deployment's files are
 */
record ScriptFiles(Map<String, String> environment) {
  private static final List<String> SCRIPTS = List.of(".py", ".ipynb");
  private static final List<String> PICKLES = List.of(".joblib", ".pkl", ".pickle");

  /** In the directory of a version in Hopsworks' registry: the model, and scripts by version. */
  private static final String FILES = "Files";

  private static final String ARTIFACTS = "Artifacts";

  /** The files of this process's environment. */
  static ScriptFiles ofThisProcess() {
    return new ScriptFiles(System.getenv());
  }

  /** Whether that is a script, by its name. */
  static boolean isScript(Path file) {
    return endsWith(file, SCRIPTS);
  }

  /** Whether that is a pickled model, by its name. */
  static boolean isPickle(Path file) {
    return endsWith(file, PICKLES);
  }

  private static boolean endsWith(Path file, List<String> endings) {
    return endings.stream().anyMatch(name(file)::endsWith);
  }

  static String name(Path file) {
    Path name = file.getFileName();
    return name == null ? "" : name.toString();
  }

  /**
   * The predictor in a file or directory: the file itself; the only {@code predictor*.py}, or
   * {@code predict.py}, or a notebook of such a name; where Hopsworks keeps a deployment's scripts
   * beside the model's files, the one there; the only pickled model. Or the directory, if only its
   * configuration can tell.
   *
   * @throws InferenceException FAILED_PRECONDITION if there are several predictors
   */
  Optional<Path> predictor(Path path) {
    if (!Files.isDirectory(path)) {
      return Optional.of(path).filter(file -> isScript(file) || isPickle(file));
    }
    Optional<Path> script = the("predictor", path);
    if (script.isEmpty()) {
      Path usual = path.resolve("predict.py");
      script = Files.isRegularFile(usual) ? Optional.of(usual) : deployed("predictor", path);
    }
    if (script.isPresent()) {
      return script;
    }
    List<Path> pickles = files(path, ScriptFiles::isPickle);
    if (!pickles.isEmpty()) {
      return Optional.of(pickles.size() == 1 ? pickles.getFirst() : path);
    }
    List<Path> others = files(path, file -> isScript(file) && !isOf("transformer", file));
    if (others.isEmpty() || !Files.isRegularFile(path.resolve("model.yaml")) || hasVersions(path)) {
      return Optional.empty();
    }
    return Optional.of(others.size() == 1 ? others.getFirst() : path);
  }

  /** The transformer in a directory: the only {@code transformer*.py}, or such a notebook. */
  Optional<Path> transformer(Path directory) {
    Optional<Path> script = the("transformer", directory);
    return script.isPresent() ? script : deployed("transformer", directory);
  }

  /** The script that Hopsworks keeps for the model in {@code directory}, if it deploys that one. */
  private Optional<Path> deployed(String role, Path directory) {
    if (!isDeployed(directory)) {
      return artifacts(directory).flatMap(artifacts -> the(role, artifacts));
    }
    Optional<Path> named =
        path("SCRIPT_PATH").filter(file -> isOf(role, file)).filter(Files::isRegularFile);
    return named.isPresent()
        ? named
        : path("ARTIFACT_FILES_PATH")
            .filter(Files::isDirectory)
            .flatMap(artifacts -> the(role, artifacts));
  }

  /** The newest scripts beside the files of a model in Hopsworks' registry. */
  private static Optional<Path> artifacts(Path directory) {
    Path artifacts = directory.resolveSibling(ARTIFACTS);
    if (!name(directory).equals(FILES) || !Files.isDirectory(artifacts)) {
      return Optional.empty();
    }
    return files(artifacts, file -> name(file).matches("[1-9]\\d{0,8}"), Files::isDirectory)
        .stream()
        .max(Comparator.comparingInt(file -> Integer.parseInt(name(file))));
  }

  /** The files of the model that a script of Hopsworks' registry is for; empty if it is none. */
  static Optional<Path> filesOf(Path script) {
    Path version = script.toAbsolutePath().getParent();
    Path artifacts = version == null ? null : version.getParent();
    return artifacts != null && name(artifacts).equals(ARTIFACTS)
        ? Optional.of(artifacts.resolveSibling(FILES)).filter(Files::isDirectory)
        : Optional.empty();
  }

  /** Whether the environment's words on model, deployment and script are about this directory. */
  boolean isDeployed(Path directory) {
    return path("MODEL_FILES_PATH")
        .filter(files -> real(files).equals(real(directory)))
        .isPresent();
  }

  Optional<Path> path(String variable) {
    return Optional.ofNullable(environment.get(variable))
        .filter(text -> !text.isBlank())
        .map(Path::of);
  }

  private static Path real(Path path) {
    try {
      return path.toRealPath();
    } catch (IOException e) {
      return path.toAbsolutePath().normalize();
    }
  }

  /** The script of a role, which is what its name starts with. */
  private static Optional<Path> the(String role, Path directory) {
    List<Path> scripts = files(directory, file -> isScript(file) && isOf(role, file));
    if (scripts.size() <= 1) {
      return scripts.stream().findFirst();
    }
    Path usual = directory.resolve(role + ".py");
    if (scripts.contains(usual)) {
      return Optional.of(usual);
    }
    throw new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "%s has several scripts and none is called %s.py: %s"
            .formatted(directory, role, scripts.stream().map(ScriptFiles::name).limit(5).toList()));
  }

  private static boolean isOf(String role, Path file) {
    return name(file).startsWith(role);
  }

  private static boolean hasVersions(Path directory) {
    return !files(directory, file -> name(file).matches("\\d+"), Files::isDirectory).isEmpty();
  }

  private static List<Path> files(Path directory, Predicate<Path> wanted) {
    return files(directory, wanted, Files::isRegularFile);
  }

  private static List<Path> files(Path directory, Predicate<Path> wanted, Predicate<Path> kind) {
    try (Stream<Path> files = Files.list(directory)) {
      return files.filter(wanted).filter(kind).sorted().toList();
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION, "%s cannot be read: %s".formatted(directory, e), e);
    }
  }
}

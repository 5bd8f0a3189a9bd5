package dev.millrace.backend.llm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What Hopsworks says of a deployment in environment variables.
 *
 * @param files the directory of the model's files
 * @param config a configuration file, if there is one
 * @param hasScript whether a script is deployed
 */
record Deployment(Path files, Optional<Path> config, boolean hasScript) {
  /** The deployment that the variables tell; empty if they tell none. */
  static Optional<Deployment> of(Map<String, String> variables) {
    return path(variables, "MODEL_FILES_PATH")
        .map(files ->
            new Deployment(
                files,
                path(variables, "CONFIG_FILE_PATH").filter(Files::isRegularFile),
                path(variables, "SCRIPT_PATH").isPresent()
                    || path(variables, "ARTIFACT_FILES_PATH")
                        .filter(Deployment::hasScriptIn)
                        .isPresent()));
  }

  private static Optional<Path> path(Map<String, String> variables, String name) {
    return Optional.ofNullable(variables.get(name)).filter(text -> !text.isBlank()).map(Path::of);
  }

  private static boolean hasScriptIn(Path directory) {
    if (!Files.isDirectory(directory)) {
      return false;
    }
    try (Stream<Path> found = Files.list(directory)) {
      return found.anyMatch(
          file -> String.valueOf(file.getFileName()).matches("predict.*\\.(py|ipynb)"));
    } catch (IOException e) {
      return false;
    }
  }

  /** Whether that is the directory of its model. */
  boolean isAbout(Path directory) {
    try {
      return Files.isDirectory(directory) && Files.isSameFile(files, directory);
    } catch (IOException e) {
      return false;
    }
  }

  /** Whether this is how a model for vLLM's own server is deployed: a YAML file and no script. */
  boolean isForEngine() {
    return !hasScript
        && config
            .map(file -> file.toString())
            .filter(name -> name.matches(".*\\.ya?ml"))
            .isPresent();
  }
}

package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import java.nio.file.Path;
import java.util.List;

/** A model in the repository, under the name it is served by. */
sealed interface FoundModel {
  String name();

  /** Where it was found. */
  Path path();

  /**
   * A model with versions to load.
   *
   * @param options what wins over the configuration of any version
   * @param config of the model, for all versions
   * @param versions the ones that the version policy selects, oldest first; never empty
   */
  record Loadable(
      String name, Path path, ModelOptions options, ModelConfig config, List<FoundVersion> versions)
      implements FoundModel {
    public Loadable {
      versions = List.copyOf(versions);
    }
  }

  /** A model that is meant to be served, but cannot. */
  record Broken(String name, Path path, InferenceException reason) implements FoundModel {}

  /**
   * The files of one version.
   *
   * @param path a file, the model's own directory, or a version directory in it
   */
  record FoundVersion(String version, Path path) {}
}

package dev.millrace.runtime;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;
import java.util.Optional;

/**
 * A place to serve from: a model file, a directory with one model, or a repository of models.
 *
 * @param name what the model is called, if not after its directory or file; not for a repository
 */
public record ModelPath(Path path, Optional<String> name) {
  public ModelPath {
    requireNonNull(path, "path is null");
    requireNonNull(name, "name is null");
  }

  /** A place whose models are named after their directories or files. */
  public static ModelPath of(Path path) {
    return new ModelPath(path, Optional.empty());
  }

  /** A place with one model of that name. */
  public static ModelPath of(Path path, String name) {
    return new ModelPath(path, Optional.of(name));
  }
}

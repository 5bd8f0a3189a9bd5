package dev.millrace.runtime;

import dev.millrace.api.Settings;
import java.nio.file.Path;

/** Reads settings from YAML. */
public final class YamlFile {
  private YamlFile() {}

  /**
   * The settings in a file; empty ones if the file is.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT that names the file and the line
   */
  public static Settings read(Path file) {
    throw new UnsupportedOperationException();
  }
}

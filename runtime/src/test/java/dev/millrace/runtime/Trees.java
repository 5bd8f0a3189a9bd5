package dev.millrace.runtime;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes files for tests. */
final class Trees {
  private Trees() {}

  /** Writes a file with that content, its directories too. */
  static Path write(Path root, String file, String content) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    return Files.writeString(path, content);
  }

  /** Writes fake models that multiply by 1. */
  static void models(Path root, String... files) throws IOException {
    for (String file : files) {
      write(root, file, "1");
    }
  }
}

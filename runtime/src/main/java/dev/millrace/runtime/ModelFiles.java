package dev.millrace.runtime;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The files of one version: the file itself, or the regular files in a directory. */
record ModelFiles(Path root, List<Path> files) {
  private static final int MAX_DEPTH = 8;

  ModelFiles {
    files = List.copyOf(files);
  }

  /**
   * The files of what a backend found, in an order that does not depend on the file system.
   *
   * @throws UncheckedIOException if a directory cannot be read
   */
  static ModelFiles of(Path path) {
    try (Stream<Path> found = Files.walk(path, MAX_DEPTH)) {
      return new ModelFiles(path, found.filter(Files::isRegularFile).sorted().toList());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Bytes of all files together.
   *
   * @throws UncheckedIOException if a file cannot be read
   */
  long byteSize() {
    try {
      long sum = 0;
      for (Path file : files) {
        sum += Files.size(file);
      }
      return sum;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

package dev.millrace.runtime;

import dev.millrace.api.spi.Backend;
import java.nio.file.Path;
import java.util.List;

/** Finds the engines that are installed. */
public final class Backends {
  private Backends() {}

  /** The backends on the class path. */
  public static List<Backend> onClassPath() {
    throw new UnsupportedOperationException();
  }

  /**
   * The backends in a plug-in directory, by name: each of its sub-directories holds the jars of one
   * plug-in, which get a class loader of their own. Empty if there is no such directory.
   *
   * @throws dev.millrace.api.InferenceException FAILED_PRECONDITION if a plug-in does not load
   */
  public static List<Backend> inDirectory(Path directory) {
    throw new UnsupportedOperationException();
  }
}

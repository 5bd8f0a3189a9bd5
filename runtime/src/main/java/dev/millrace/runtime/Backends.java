package dev.millrace.runtime;

import dev.millrace.api.spi.Backend;
import java.nio.file.Path;
import java.util.List;

/** Finds the engines that are installed, for who needs nothing else of the {@link Plugins}. */
public final class Backends {
  private Backends() {}

  /** The backends on the class path. */
  public static List<Backend> onClassPath() {
    return Plugins.onClassPath().backends();
  }

  /**
   * The backends in a directory of plug-ins.
   *
   * @throws dev.millrace.api.InferenceException FAILED_PRECONDITION if a plug-in does not load
   */
  public static List<Backend> inDirectory(Path directory) {
    return Plugins.inDirectory(directory).backends();
  }
}

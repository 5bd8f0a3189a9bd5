package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.Backend;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;

/**
 * Finds the engines that are installed, by {@link ServiceLoader}.
 *
 * <p>While a backend is made and while it loads a model, the thread's context class loader is the
 * backend's own, and the runner threads started then inherit it.
 */
public final class Backends {
  private Backends() {}

  /** The backends on the class path. */
  public static List<Backend> onClassPath() {
    List<Backend> backends = new ArrayList<>();
    ServiceLoader.load(Backend.class, Backends.class.getClassLoader()).forEach(backends::add);
    return backends;
  }

  /**
   * The backends in a plug-in directory, in the order of their directories' names: each
   * sub-directory holds the jars of one plug-in, which get a class loader of their own for the life
   * of the process. Empty if there is no such directory.
   *
   * @throws InferenceException FAILED_PRECONDITION if a plug-in does not load
   */
  public static List<Backend> inDirectory(Path directory) {
    List<Backend> backends = new ArrayList<>();
    if (Files.isDirectory(directory)) {
      for (Path plugin : children(directory, "*")) {
        if (Files.isDirectory(plugin)) {
          backends.addAll(inPlugin(plugin, children(plugin, "*.jar")));
        }
      }
    }
    return backends;
  }

  private static List<Backend> inPlugin(Path plugin, List<Path> jars) {
    List<Backend> backends = new ArrayList<>();
    if (jars.isEmpty()) {
      return backends;
    }
    PluginClassLoader loader = PluginClassLoader.of(plugin, jars, Backends.class.getClassLoader());
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    thread.setContextClassLoader(loader);
    try {
      ServiceLoader.load(Backend.class, loader).stream()
          .filter(provider -> provider.type().getClassLoader() == loader)
          .forEach(provider -> backends.add(provider.get()));
    } catch (ServiceConfigurationError | LinkageError e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s: the plug-in does not load: %s".formatted(plugin, e.getMessage()),
          e);
    } finally {
      thread.setContextClassLoader(before);
    }
    return backends;
  }

  /** What is in a directory, by name. */
  private static List<Path> children(Path directory, String glob) {
    List<Path> children = new ArrayList<>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory, glob)) {
      stream.forEach(children::add);
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION, "cannot read " + directory + ": " + e.getMessage(), e);
    }
    children.sort(null);
    return children;
  }
}

package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.LoggerProvider;
import dev.millrace.api.spi.TransformerFactory;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;

/**
 * What is installed beside the server, found by {@link ServiceLoader}. Lives as long as the
 * process.
 *
 * <p>While a plug-in is made and while it loads a model, the thread's context class loader is the
 * plug-in's own, and the runner threads started then inherit it.
 *
 * @param backends engines, in the order in which they are asked whether a model is theirs
 * @param transformers kinds of steps; no two of one name
 * @param loggers inference logs to choose from
 */
public record Plugins(
    List<Backend> backends, List<TransformerFactory> transformers, List<LoggerProvider> loggers) {
  /** As documented; throws an InferenceException FAILED_PRECONDITION if a name is taken. */
  public Plugins {
    backends = List.copyOf(backends);
    transformers = List.copyOf(transformers);
    loggers = List.copyOf(loggers);
    Map<String, TransformerFactory> names = new HashMap<>();
    for (TransformerFactory factory : transformers) {
      TransformerFactory other = names.putIfAbsent(factory.name(), factory);
      if (other != null) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "two transformers are called '%s': %s and %s"
                .formatted(
                    factory.name(), other.getClass().getName(), factory.getClass().getName()));
      }
    }
  }

  /** These engines and steps, and no logger. */
  public Plugins(List<Backend> backends, List<TransformerFactory> transformers) {
    this(backends, transformers, List.of());
  }

  /** These engines and nothing else. */
  public static Plugins of(List<Backend> backends) {
    return new Plugins(backends, List.of());
  }

  /** What is on the class path. */
  public static Plugins onClassPath() {
    ClassLoader loader = Plugins.class.getClassLoader();
    return new Plugins(
        onClassPath(Backend.class, loader),
        onClassPath(TransformerFactory.class, loader),
        onClassPath(LoggerProvider.class, loader));
  }

  private static <S> List<S> onClassPath(Class<S> service, ClassLoader loader) {
    return ServiceLoader.load(service, loader).stream().map(ServiceLoader.Provider::get).toList();
  }

  /**
   * The plug-ins in a directory, in the order of their names: each jar, and each sub-directory of
   * jars, is one and gets a class loader of its own for the life of the process. None if there is
   * no such directory.
   *
   * @throws InferenceException FAILED_PRECONDITION if a plug-in does not load
   */
  public static Plugins inDirectory(Path directory) {
    Plugins plugins = of(List.of());
    if (Files.isDirectory(directory)) {
      for (Path child : children(directory, "*")) {
        if (Files.isDirectory(child)) {
          plugins = plugins.and(inFolder(child));
        } else if (child.toString().endsWith(".jar")) {
          plugins = plugins.and(load(child, List.of(child)));
        }
      }
    }
    return plugins;
  }

  /**
   * The one plug-in whose jars are in {@code folder}; none if there are no jars, or no such folder.
   *
   * @throws InferenceException FAILED_PRECONDITION if it does not load
   */
  public static Plugins inFolder(Path folder) {
    List<Path> jars = Files.isDirectory(folder) ? children(folder, "*.jar") : List.of();
    return jars.isEmpty() ? of(List.of()) : load(folder, jars);
  }

  private static Plugins load(Path plugin, List<Path> jars) {
    PluginClassLoader loader = PluginClassLoader.of(plugin, jars, Plugins.class.getClassLoader());
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    thread.setContextClassLoader(loader);
    try {
      return new Plugins(
          load(Backend.class, loader),
          load(TransformerFactory.class, loader),
          load(LoggerProvider.class, loader));
    } catch (ServiceConfigurationError | LinkageError e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s: the plug-in does not load: %s".formatted(plugin, e.getMessage()),
          e);
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  private static <S> List<S> load(Class<S> service, PluginClassLoader loader) {
    return ServiceLoader.load(service, loader).stream()
        .filter(provider -> provider.type().getClassLoader() == loader)
        .map(ServiceLoader.Provider::get)
        .toList();
  }

  /** These and those. */
  public Plugins and(Plugins others) {
    List<Backend> allBackends = new ArrayList<>(backends);
    allBackends.addAll(others.backends);
    List<TransformerFactory> allTransformers = new ArrayList<>(transformers);
    allTransformers.addAll(others.transformers);
    List<LoggerProvider> allLoggers = new ArrayList<>(loggers);
    allLoggers.addAll(others.loggers);
    return new Plugins(allBackends, allTransformers, allLoggers);
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

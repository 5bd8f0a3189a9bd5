package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.LoggerProvider;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;

/** Finds the inference loggers that are installed, and starts one with measurements. */
public final class Loggers {
  /** The one that comes with the server. */
  private static final String DEFAULT = "millrace";

  private Loggers() {}

  /** The loggers on the class path. */
  public static List<LoggerProvider> onClassPath() {
    List<LoggerProvider> providers = new ArrayList<>();
    ServiceLoader.load(LoggerProvider.class, Loggers.class.getClassLoader())
        .forEach(providers::add);
    return providers;
  }

  /**
   * The loggers of a layout: the one in its {@code logger} directory, and those in {@code
   * extensions}. Each jar there, and each directory of jars, has a class loader of its own.
   *
   * @throws InferenceException FAILED_PRECONDITION if a plug-in does not load
   */
  public static List<LoggerProvider> inHome(Path home) {
    List<LoggerProvider> providers = new ArrayList<>(inPlugin(home.resolve("logger")));
    for (Path extension : children(home.resolve("extensions"), "*")) {
      providers.addAll(inPlugin(extension));
    }
    return providers;
  }

  private static List<LoggerProvider> inPlugin(Path plugin) {
    List<LoggerProvider> providers = new ArrayList<>();
    List<Path> jars =
        plugin.toString().endsWith(".jar") ? List.of(plugin) : children(plugin, "*.jar");
    if (jars.isEmpty()) {
      return providers;
    }
    PluginClassLoader loader = PluginClassLoader.of(plugin, jars, Loggers.class.getClassLoader());
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    thread.setContextClassLoader(loader);
    try {
      ServiceLoader.load(LoggerProvider.class, loader).stream()
          .filter(provider -> provider.type().getClassLoader() == loader)
          .forEach(provider -> providers.add(provider.get()));
    } catch (ServiceConfigurationError | LinkageError e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s: the plug-in does not load: %s".formatted(plugin, e.getMessage()),
          e);
    } finally {
      thread.setContextClassLoader(before);
    }
    return providers;
  }

  /** What is in a directory, by name; nothing if there is no such directory. */
  private static List<Path> children(Path directory, String glob) {
    List<Path> children = new ArrayList<>();
    if (!Files.isDirectory(directory)) {
      return children;
    }
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory, glob)) {
      stream.forEach(children::add);
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION, "cannot read " + directory + ": " + e.getMessage(), e);
    }
    children.sort(null);
    return children;
  }

  /**
   * Starts a logger; may block while it looks at where records shall go.
   *
   * @param name which of the providers; empty for the one that comes with the server, or the only
   *     one
   * @return the logger, which a {@link ModelServer} closes
   * @throws InferenceException as {@link LoggerProvider#start}, or FAILED_PRECONDITION if there is
   *     no such provider
   */
  public static InferenceLogger start(
      List<LoggerProvider> providers,
      Optional<String> name,
      Settings settings,
      Map<String, String> environment,
      MeterRegistry registry) {
    LoggerProvider provider = choose(providers, name);
    LoggerMeters meters = new LoggerMeters(new Meters(registry));
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    thread.setContextClassLoader(provider.getClass().getClassLoader());
    try {
      InferenceLogger logger = provider.start(settings, environment, meters);
      meters.show(logger);
      return logger;
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  private static LoggerProvider choose(List<LoggerProvider> providers, Optional<String> name) {
    if (name.isEmpty() && providers.size() == 1) {
      return providers.getFirst();
    }
    String wanted = name.orElse(DEFAULT);
    for (LoggerProvider provider : providers) {
      if (provider.name().equals(wanted)) {
        return provider;
      }
    }
    throw new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "there is no logger '%s': %s"
            .formatted(
                wanted,
                providers.isEmpty()
                    ? "none is installed"
                    : "installed are "
                        + String.join(
                            ", ", providers.stream().map(LoggerProvider::name).toList())));
  }
}

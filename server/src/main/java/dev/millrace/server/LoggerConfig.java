package dev.millrace.server;

import dev.millrace.api.spi.LoggerProvider;
import dev.millrace.runtime.Loggers;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How inferences are logged.
 *
 * @param providers the loggers to choose from
 * @param provider which one; empty for the server's own
 * @param settings what it is told, by its own keys; {@code docs/logging.md} has them
 * @param environment the process's environment variables
 */
public record LoggerConfig(
    List<LoggerProvider> providers,
    Optional<String> provider,
    Map<String, Object> settings,
    Map<String, String> environment) {
  public LoggerConfig {
    providers = List.copyOf(providers);
    settings = Map.copyOf(settings);
    environment = Map.copyOf(environment);
  }

  /** The server's own logger, from the class path, with these settings. */
  public static LoggerConfig of(Map<String, Object> settings) {
    return new LoggerConfig(Loggers.onClassPath(), Optional.empty(), settings, Map.of());
  }

  /** The loggers that are installed. */
  static List<LoggerProvider> installed() {
    String home = System.getProperty("millrace.home");
    return home == null ? Loggers.onClassPath() : Loggers.inHome(Path.of(home));
  }
}

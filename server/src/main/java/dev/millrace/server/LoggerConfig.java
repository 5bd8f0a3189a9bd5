package dev.millrace.server;

import java.util.Map;
import java.util.Optional;

/**
 * How inferences are logged.
 *
 * @param provider which of those that are installed; empty for the server's own
 * @param settings what it is told, by its own keys; {@code docs/logging.md} has them
 * @param environment the process's environment variables
 */
public record LoggerConfig(
    Optional<String> provider, Map<String, Object> settings, Map<String, String> environment) {
  public LoggerConfig {
    settings = Map.copyOf(settings);
    environment = Map.copyOf(environment);
  }

  /** The server's own logger, with these settings. */
  public static LoggerConfig of(Map<String, Object> settings) {
    return new LoggerConfig(Optional.empty(), settings, Map.of());
  }
}

package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.LoggerProvider;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Starts one of the inference loggers that are installed, with measurements. */
public final class Loggers {
  /** The one that comes with the server. */
  private static final String DEFAULT = "millrace";

  private Loggers() {}

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

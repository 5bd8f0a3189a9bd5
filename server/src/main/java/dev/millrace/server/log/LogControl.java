package dev.millrace.server.log;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import java.util.Optional;
import org.slf4j.LoggerFactory;

/**
 * Reads and changes how much the process logs. There is one log in a process, so all servers in it
 * share what is set. Thread-safe.
 */
public final class LogControl {
  private static final String OWN = "dev.millrace";

  private LogControl() {}

  /** Logback; empty if the user has brought another implementation of SLF4J. */
  private static Optional<LoggerContext> logback() {
    return LoggerFactory.getILoggerFactory() instanceof LoggerContext context
        ? Optional.of(context)
        : Optional.empty();
  }

  /** What is logged: this level and the ones before it. */
  public static LogLevel level() {
    return logback()
        .map(context -> context.getLogger(OWN).getEffectiveLevel())
        .map(level ->
            level.toInt() <= Level.TRACE_INT ? LogLevel.TRACE : LogLevel.valueOf(level.toString()))
        .orElse(LogLevel.INFO);
  }

  /**
   * Changes what is logged.
   *
   * @return whether it could be changed
   */
  public static boolean set(LogLevel level) {
    Optional<LoggerContext> logback = logback();
    logback.ifPresent(context -> {
      // Libraries are quiet unless asked: their debug lines bury Millrace's.
      context
          .getLogger(Logger.ROOT_LOGGER_NAME)
          .setLevel(level == LogLevel.TRACE ? Level.DEBUG : libraries(level));
      context.getLogger(OWN).setLevel(Level.toLevel(level.name()));
    });
    return logback.isPresent();
  }

  private static Level libraries(LogLevel level) {
    return level.compareTo(LogLevel.WARN) <= 0 ? Level.toLevel(level.name()) : Level.WARN;
  }
}

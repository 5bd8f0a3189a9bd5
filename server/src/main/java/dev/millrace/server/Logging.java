package dev.millrace.server;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.ConsoleAppender;
import dev.millrace.server.log.LogControl;
import dev.millrace.server.log.LogLevel;
import org.slf4j.ILoggerFactory;
import org.slf4j.LoggerFactory;

/** The log of the process: to standard output, a line for each event. */
final class Logging {
  private Logging() {}

  /**
   * Sets the log up. Does nothing if the user has brought a configuration of Logback's own ({@code
   * -Dlogback.configurationFile}), or another implementation of SLF4J.
   */
  static void configure(LogLevel level, LogFormat format) {
    ILoggerFactory factory = LoggerFactory.getILoggerFactory();
    if (!(factory instanceof LoggerContext context)
        || System.getProperty("logback.configurationFile") != null) {
      return;
    }
    context.reset();
    LogLines lines = new LogLines(format);
    lines.setContext(context);
    lines.start();
    ConsoleAppender<ILoggingEvent> console = new ConsoleAppender<>();
    console.setContext(context);
    console.setName("console");
    console.setEncoder(lines);
    console.start();
    Logger root = context.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    root.addAppender(console);
    LogControl.set(level);
  }
}

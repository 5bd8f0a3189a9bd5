package dev.millrace.server.log;

/** How much is logged, least first. */
public enum LogLevel {
  OFF,
  ERROR,
  WARN,
  INFO,
  DEBUG,
  TRACE
}

package dev.millrace.server;

/** How an event looks in the log. */
enum LogFormat {
  TEXT,
  JSON
}

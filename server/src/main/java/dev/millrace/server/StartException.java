package dev.millrace.server;

import org.jspecify.annotations.Nullable;

/** The server cannot start, for a reason that is told in one line. */
final class StartException extends Exception {
  private static final long serialVersionUID = 1;

  private final String reason;

  StartException(String reason, @Nullable Throwable cause) {
    super(reason, cause);
    this.reason = reason;
  }

  String reason() {
    return reason;
  }
}

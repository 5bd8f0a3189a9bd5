package dev.millrace.backend.python;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;

/** What a script raised, or why its result is none. */
final class ScriptError extends Exception {
  private static final long serialVersionUID = 1;

  private final int status;
  private final String trace;

  /**
   * What went wrong.
   *
   * @param status the HTTP status that the script asked for; 500 if none
   * @param message for the client
   * @param trace Python's, from the script's first line on; empty if it was not the script that
   *     raised
   */
  ScriptError(int status, String message, String trace) {
    super(message, null, false, false);
    this.status = status;
    this.trace = trace;
  }

  int status() {
    return status;
  }

  String trace() {
    return trace;
  }

  /** The failure that clients are told of; without the server's stack, which says nothing here. */
  InferenceException toInferenceException() {
    return InferenceException.reported(code(status), String.valueOf(getMessage()));
  }

  /** The code whose status is that, or the nearest. */
  static ErrorCode code(int status) {
    return switch (status) {
      case 404, 410 -> ErrorCode.NOT_FOUND;
      case 408, 504 -> ErrorCode.DEADLINE_EXCEEDED;
      case 429, 507 -> ErrorCode.RESOURCE_EXHAUSTED;
      case 499 -> ErrorCode.CANCELLED;
      case 502, 503 -> ErrorCode.UNAVAILABLE;
      case 501 -> ErrorCode.UNIMPLEMENTED;
      case 401, 403, 405, 409, 412, 424, 428 -> ErrorCode.FAILED_PRECONDITION;
      default -> status < 500 ? ErrorCode.INVALID_ARGUMENT : ErrorCode.INTERNAL;
    };
  }
}

package dev.millrace.server.http;

import dev.millrace.api.ErrorCode;

/** The status of each {@link ErrorCode}. */
final class HttpErrors {
  private HttpErrors() {}

  static int status(ErrorCode code) {
    return switch (code) {
      case INVALID_ARGUMENT, FAILED_PRECONDITION -> 400;
      case NOT_FOUND -> 404;
      case RESOURCE_EXHAUSTED -> 429;
      case DEADLINE_EXCEEDED -> 504;
      case CANCELLED -> 499;
      case UNAVAILABLE -> 503;
      case UNIMPLEMENTED -> 501;
      case INTERNAL -> 500;
    };
  }
}

package dev.millrace.server.v2;

import dev.millrace.api.InferenceException;

/** Bounds on what a client may put into one request, over HTTP as over gRPC. */
public final class RequestLimits {
  /** Most inputs, outputs, or parameters of one request. */
  private static final int MAX_COUNT = 1024;

  /** Longest id, in characters. */
  private static final int MAX_ID_LENGTH = 4096;

  private RequestLimits() {}

  /**
   * Checks how many of something a request has.
   *
   * @throws InferenceException INVALID_ARGUMENT if there are too many
   */
  public static void checkCount(String what, int count) {
    if (count > MAX_COUNT) {
      throw InferenceException.invalidArgument(
          "more than %d %s in a request".formatted(MAX_COUNT, what));
    }
  }

  /**
   * Checks an id.
   *
   * @throws InferenceException INVALID_ARGUMENT if it is too long
   */
  public static void checkId(String id) {
    if (id.length() > MAX_ID_LENGTH) {
      throw InferenceException.invalidArgument(
          "the id has %d characters, at most %d are allowed".formatted(id.length(), MAX_ID_LENGTH));
    }
  }
}

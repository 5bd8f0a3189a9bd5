package dev.millrace.api;

import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A failure that a client is told of: its code and message are the answer. The message names what
 * was wrong and what was expected, and carries nothing of the server's insides.
 *
 * <p>Only {@linkplain #isFault faults} carry a stack trace: the others are answers.
 */
public final class InferenceException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final ErrorCode code;
  private final boolean isFault;
  private final @Nullable Duration retryAfter;

  public InferenceException(ErrorCode code, String message) {
    this(code, message, null);
  }

  public InferenceException(ErrorCode code, String message, @Nullable Throwable cause) {
    this(code, message, cause, code == ErrorCode.INTERNAL, null);
  }

  private InferenceException(
      ErrorCode code,
      String message,
      @Nullable Throwable cause,
      boolean isFault,
      @Nullable Duration retryAfter) {
    super(message, cause, false, isFault);
    this.code = code;
    this.isFault = isFault;
    this.retryAfter = retryAfter;
  }

  /**
   * A failure that is no fault of the server's, and which the log has been told of already: what a
   * user's script raised. Carries no stack trace, whatever its code.
   */
  public static InferenceException reported(ErrorCode code, String message) {
    return new InferenceException(code, message, null, false, null);
  }

  public static InferenceException invalidArgument(String message) {
    return new InferenceException(ErrorCode.INVALID_ARGUMENT, message);
  }

  public static InferenceException notFound(String message) {
    return new InferenceException(ErrorCode.NOT_FOUND, message);
  }

  public static InferenceException unavailable(String message) {
    return new InferenceException(ErrorCode.UNAVAILABLE, message);
  }

  /** An UNAVAILABLE that tells the client when to come back. */
  public static InferenceException unavailable(String message, Duration retryAfter) {
    return new InferenceException(ErrorCode.UNAVAILABLE, message, null, false, retryAfter);
  }

  /** A RESOURCE_EXHAUSTED that tells the client when to come back. */
  public static InferenceException exhausted(String message, Duration retryAfter) {
    return new InferenceException(ErrorCode.RESOURCE_EXHAUSTED, message, null, false, retryAfter);
  }

  /**
   * {@code failure} itself if it is one of these, CANCELLED for a cancellation, else one with it as
   * the cause: RESOURCE_EXHAUSTED for want of memory, or INTERNAL.
   */
  public static InferenceException of(Throwable failure) {
    Throwable cause = failure;
    while (cause instanceof java.util.concurrent.CompletionException
        || cause instanceof java.util.concurrent.ExecutionException) {
      if (cause.getCause() == null) {
        break;
      }
      cause = cause.getCause();
    }
    if (cause instanceof InferenceException inference) {
      return inference;
    }
    if (cause instanceof java.util.concurrent.CancellationException) {
      return new InferenceException(ErrorCode.CANCELLED, "the request was cancelled");
    }
    String message = cause.getMessage();
    if (cause instanceof OutOfMemoryError) {
      return new InferenceException(
          ErrorCode.RESOURCE_EXHAUSTED,
          "the server is out of memory: " + message,
          cause,
          true,
          Duration.ofSeconds(1));
    }
    return new InferenceException(
        ErrorCode.INTERNAL, message == null ? cause.getClass().getSimpleName() : message, cause);
  }

  public ErrorCode code() {
    return code;
  }

  /**
   * Whether the server is at fault, which is for its log: INTERNAL or out of memory, and not
   * reported yet.
   */
  public boolean isFault() {
    return isFault;
  }

  /** The same failure, told with more words; this is its cause. */
  public InferenceException withMessage(String other) {
    return new InferenceException(code, other, this, isFault, retryAfter);
  }

  /** When a new attempt makes sense, if the server can tell. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  /** The message; never null. */
  @Override
  public String getMessage() {
    String message = super.getMessage();
    return message == null ? code.name() : message;
  }
}

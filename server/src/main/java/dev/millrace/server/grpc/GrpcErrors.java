package dev.millrace.server.grpc;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The status of each {@link ErrorCode}, and how a failed call is ended. */
public final class GrpcErrors {
  private static final Logger log = LoggerFactory.getLogger(GrpcErrors.class);

  /** Milliseconds after which gRPC's own retries shall try again. */
  static final Metadata.Key<String> RETRY_PUSHBACK =
      Metadata.Key.of("grpc-retry-pushback-ms", Metadata.ASCII_STRING_MARSHALLER);

  private GrpcErrors() {}

  static Status.Code code(ErrorCode code) {
    return switch (code) {
      case INVALID_ARGUMENT -> Status.Code.INVALID_ARGUMENT;
      case NOT_FOUND -> Status.Code.NOT_FOUND;
      case FAILED_PRECONDITION -> Status.Code.FAILED_PRECONDITION;
      case RESOURCE_EXHAUSTED -> Status.Code.RESOURCE_EXHAUSTED;
      case DEADLINE_EXCEEDED -> Status.Code.DEADLINE_EXCEEDED;
      case CANCELLED -> Status.Code.CANCELLED;
      case UNAVAILABLE -> Status.Code.UNAVAILABLE;
      case UNIMPLEMENTED -> Status.Code.UNIMPLEMENTED;
      case INTERNAL -> Status.Code.INTERNAL;
    };
  }

  /** What a client is told of {@code failure}; a fault of the server's is logged. */
  static InferenceException reason(Throwable failure) {
    InferenceException reason = InferenceException.of(failure);
    if (reason.isFault()) {
      log.error("a gRPC call failed", reason);
    }
    return reason;
  }

  /** Ends a call with the status of {@code failure}. */
  public static void fail(StreamObserver<?> call, Throwable failure) {
    end(call, reason(failure));
  }

  /** Ends a call with the status of what it is to be told. */
  static void end(StreamObserver<?> call, InferenceException reason) {
    call.onError(new Answer(status(reason), trailers(reason)));
  }

  /** Ends a call that has no observer yet. */
  static void end(ServerCall<?, ?> call, InferenceException reason) {
    call.close(status(reason), trailers(reason));
  }

  /** The status of what a client is to be told. */
  static Status status(InferenceException reason) {
    return code(reason.code()).toStatus().withDescription(reason.getMessage());
  }

  private static Metadata trailers(InferenceException reason) {
    Metadata trailers = new Metadata();
    reason
        .retryAfter()
        .map(Duration::toMillis)
        .ifPresent(millis -> trailers.put(RETRY_PUSHBACK, Long.toString(millis)));
    return trailers;
  }

  /** Carries a status to the call; an answer and no fault, so without a stack trace. */
  private static final class Answer extends StatusRuntimeException {
    private static final long serialVersionUID = 1;

    Answer(Status status, Metadata trailers) {
      super(status, trailers);
    }

    @Override
    public synchronized Throwable fillInStackTrace() {
      return this;
    }
  }
}

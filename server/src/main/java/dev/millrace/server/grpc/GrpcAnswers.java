package dev.millrace.server.grpc;

import io.grpc.stub.StreamObserver;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/** How calls of services are answered. */
public final class GrpcAnswers {
  private GrpcAnswers() {}

  /** Answers a call with what comes at once: a message, or why there is none. */
  public static <T> void answer(StreamObserver<T> call, Supplier<T> response) {
    T message;
    try {
      message = response.get();
    } catch (RuntimeException e) {
      GrpcErrors.fail(call, e);
      return;
    }
    call.onNext(message);
    call.onCompleted();
  }

  /** Answers a call with what comes of a future; on the thread that completes it. */
  public static <T> void answerLater(
      StreamObserver<T> call, Supplier<CompletableFuture<T>> response) {
    CompletableFuture<T> future;
    try {
      future = response.get();
    } catch (RuntimeException e) {
      GrpcErrors.fail(call, e);
      return;
    }
    var _ =
        future.whenComplete((message, failure) -> {
          if (failure != null) {
            GrpcErrors.fail(call, failure);
          } else {
            call.onNext(message);
            call.onCompleted();
          }
        });
  }
}

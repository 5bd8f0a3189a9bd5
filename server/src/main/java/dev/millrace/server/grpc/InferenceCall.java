package dev.millrace.server.grpc;

import dev.millrace.api.InferenceResponse;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.server.transport.EventLoops;
import io.grpc.stub.ServerCallStreamObserver;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/** One inference that a client waits for. Made on the connection's event loop, which answers it. */
final class InferenceCall implements BiConsumer<InferenceResponse, Throwable>, Runnable {
  private final ServerCallStreamObserver<ModelInferResponse> call;
  private final boolean typed;
  private final Executor eventLoop = EventLoops.current();
  private @Nullable InferenceResponse response;
  private @Nullable Throwable failure;

  /**
   * An inference.
   *
   * @param typed whether the client has sent typed contents
   */
  InferenceCall(ServerCallStreamObserver<ModelInferResponse> call, boolean typed) {
    this.call = call;
    this.typed = typed;
  }

  /**
   * Answers the call with what comes of {@code future}, or cancels that when the client is gone.
   */
  void await(CompletableFuture<InferenceResponse> future) {
    call.setOnCancelHandler(() -> future.cancel(false));
    var _ = future.whenComplete(this);
  }

  /** The future's completion, on any thread: goes to the event loop. */
  @Override
  public void accept(@Nullable InferenceResponse value, @Nullable Throwable thrown) {
    response = value;
    failure = thrown;
    try {
      eventLoop.execute(this);
    } catch (RejectedExecutionException stopped) {
      if (value != null) {
        value.close();
      }
    }
  }

  @Override
  public void run() {
    // The message is written out before onNext returns: then the tensors are no longer needed.
    try (InferenceResponse answer = response) {
      if (call.isCancelled()) {
        return;
      }
      if (answer == null) {
        GrpcErrors.fail(call, failure == null ? new IllegalStateException("no answer") : failure);
        return;
      }
      call.onNext(GrpcResponseWriter.write(answer, typed));
      call.onCompleted();
    } catch (RuntimeException e) {
      GrpcErrors.fail(call, e);
    }
  }
}

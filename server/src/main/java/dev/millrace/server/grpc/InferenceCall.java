package dev.millrace.server.grpc;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Ticker;
import dev.millrace.server.transport.EventLoops;
import io.grpc.Context;
import io.grpc.stub.ServerCallStreamObserver;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * One inference that a client waits for. Made on the connection's event loop, which answers it.
 *
 * @param <M> the message that it is answered with
 */
public final class InferenceCall<M> implements BiConsumer<InferenceResponse, Throwable>, Runnable {
  private final ServerCallStreamObserver<M> call;
  private final UnaryOperator<InferenceResponse> finisher;
  private final Function<InferenceResponse, M> writer;
  private final Executor eventLoop = EventLoops.current();
  private @Nullable InferenceResponse response;
  private @Nullable Throwable failure;
  private long sinceNanos;

  /**
   * An inference.
   *
   * @param writer makes the message of a response, which it may refer to the memory of
   */
  public InferenceCall(ServerCallStreamObserver<M> call, Function<InferenceResponse, M> writer) {
    this(call, UnaryOperator.identity(), writer);
  }

  /**
   * An inference whose response is changed before it is written.
   *
   * @param finisher takes the response over, unless it throws
   */
  InferenceCall(
      ServerCallStreamObserver<M> call,
      UnaryOperator<InferenceResponse> finisher,
      Function<InferenceResponse, M> writer) {
    this.call = call;
    this.finisher = finisher;
    this.writer = writer;
  }

  /**
   * The deadline of the call under way.
   *
   * @param ticker the one that the server measures deadlines with
   */
  public static Deadline deadline(Ticker ticker) {
    io.grpc.Deadline deadline = Context.current().getDeadline();
    return deadline == null
        ? Deadline.none()
        : new Deadline(ticker.nanos() + deadline.timeRemaining(TimeUnit.NANOSECONDS));
  }

  /**
   * Answers the call with what comes of {@code future}, or cancels that when the client is gone.
   */
  public void await(CompletableFuture<InferenceResponse> future) {
    call.setOnCancelHandler(() -> future.cancel(false));
    var _ = future.whenComplete(this);
  }

  /** The future's completion, on any thread: goes to the event loop. */
  @Override
  public void accept(@Nullable InferenceResponse value, @Nullable Throwable thrown) {
    response = value;
    failure = thrown;
    sinceNanos = System.nanoTime();
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
    InferenceResponse answer = response;
    if (answer != null) { // refusals come in crowds, and nobody minds when
      EventLoops.waitedSince(sinceNanos);
    }
    try {
      if (call.isCancelled()) {
        return;
      }
      if (answer == null) {
        GrpcErrors.fail(call, failure == null ? new IllegalStateException("no answer") : failure);
        return;
      }
      answer = finisher.apply(answer);
      call.onNext(writer.apply(answer));
      call.onCompleted();
    } catch (RuntimeException | OutOfMemoryError e) {
      GrpcErrors.fail(call, e);
    } finally {
      // The message is written out before onNext returns: then the tensors are no longer needed.
      if (answer != null) {
        answer.close();
      }
    }
  }
}

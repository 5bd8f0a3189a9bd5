package dev.millrace.server.http;

import static java.util.Objects.requireNonNull;

import dev.millrace.server.transport.EventLoops;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What becomes of a future's result: the answer to an exchange. Made for one use, by {@link
 * HttpExchange#await}.
 */
public abstract class Answer<T> implements BiConsumer<T, Throwable>, Runnable {
  private @Nullable HttpExchange exchange;
  private @Nullable T result;
  private @Nullable Throwable failure;
  private long sinceNanos;

  protected Answer() {}

  /**
   * Answers; on the exchange's event loop. What it throws, the client is told.
   *
   * @param result now this method's
   */
  protected abstract void write(HttpExchange exchange, T result);

  /** Frees a result that nobody waits for any more. */
  protected void discard(T result) {}

  final void await(HttpExchange waiting, CompletableFuture<T> future) {
    exchange = waiting;
    var _ = future.whenComplete(this);
  }

  /** The future's completion, on any thread: goes to the event loop. */
  @Override
  public final void accept(@Nullable T value, @Nullable Throwable thrown) {
    result = value;
    failure = thrown;
    HttpExchange waiting = requireNonNull(exchange);
    if (waiting.eventLoop().inEventLoop()) {
      answer();
      return;
    }
    sinceNanos = System.nanoTime();
    try {
      waiting.eventLoop().execute(this);
    } catch (RejectedExecutionException stopped) {
      if (value != null) {
        discard(value);
      }
    }
  }

  @Override
  public final void run() {
    if (failure == null) { // refusals come in crowds, and nobody minds when
      EventLoops.waitedSince(sinceNanos);
    }
    answer();
  }

  @SuppressWarnings("NullAway") // the result of a Void future is null
  private void answer() {
    HttpExchange waiting = requireNonNull(exchange);
    if (failure != null) {
      waiting.fail(failure);
    } else if (waiting.isAborted()) {
      if (result != null) {
        discard(result);
      }
    } else {
      try {
        write(waiting, result);
      } catch (RuntimeException | OutOfMemoryError e) {
        waiting.fail(e);
      }
    }
  }
}

package dev.millrace.batcher;

import dev.millrace.api.TensorMap;
import java.util.concurrent.CompletableFuture;

/**
 * The answer to one request: outputs, which the receiver owns, or an {@link
 * dev.millrace.api.InferenceException}. Completes once, on a runner or timer thread; success,
 * failure, deadline and {@link #cancel} race, and the outputs of a loser are closed.
 */
public final class Reply extends CompletableFuture<TensorMap> {
  private long queueNanos;
  private long computeNanos;

  Reply() {}

  /** Nanoseconds from being accepted to being taken by a runner; valid once completed. */
  public long queueNanos() {
    return queueNanos;
  }

  /**
   * Nanoseconds from being taken by a runner to having the outputs; 0 if it was not run to an end
   * before it completed.
   */
  public long computeNanos() {
    return computeNanos;
  }

  void timed(long queueNanos, long computeNanos) {
    this.queueNanos = queueNanos;
    this.computeNanos = computeNanos;
  }
}

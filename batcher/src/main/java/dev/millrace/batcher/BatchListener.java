package dev.millrace.batcher;

import dev.millrace.batcher.policy.DispatchReason;

/**
 * Hears what a batcher does, for metrics. Called on runner, timer and submitting threads, by
 * several at once, outside the batcher's lock; what it throws is logged and otherwise ignored.
 */
public interface BatchListener {
  /** A runner took a request, or its first piece, after it had waited this long. */
  default void requestStarted(long queueNanos) {}

  /**
   * A runner took a batch.
   *
   * @param reason why it was not smaller, larger or later
   * @param requests that share it
   * @param rows of them
   * @param padRows that the batch is filled up with
   */
  default void batchStarted(DispatchReason reason, int requests, int rows, int padRows) {}

  /**
   * The predictor returned.
   *
   * @param requests that shared the batch
   * @param rows that the model saw
   * @param computeNanos time inside the predictor
   */
  default void batchCompleted(int requests, int rows, long computeNanos) {}

  /**
   * The outputs of a batch are there for all that shared it, of whom none is answered yet. Follows
   * {@link #batchCompleted}, unless the outputs turned out to be of no use.
   */
  default void batchFinished(BatchTimes times) {}

  /**
   * The predictor failed; requests that shared the batch run again in halves.
   *
   * @param requests that shared the batch
   * @param rows that the model saw
   */
  default void batchFailed(int requests, int rows) {}

  /** A request was dropped before it ran, or never accepted. */
  default void requestShed(ShedReason reason) {}

  /** Hears and does nothing. */
  static BatchListener none() {
    return new BatchListener() {};
  }
}

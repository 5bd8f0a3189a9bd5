package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.QueueView;

/**
 * What TensorFlow Serving's shared batch scheduler does: a batch may run once it is full or its
 * first request has waited for the time-out, idle thread or not; a thread that finds nothing looks
 * again a millisecond later. How many batches may wait is the contender's bound on the queue.
 *
 * <p>Source: the behaviour of {@code shared_batch_scheduler.h} in tensorflow/tensorflow.
 */
final class ServingLikePolicy implements BatchPolicy {
  private static final long POLL_NANOS = 1_000_000;

  private final int batchSize;
  private final long timeoutNanos;

  ServingLikePolicy(int batchSize, long timeoutNanos) {
    this.batchSize = batchSize;
    this.timeoutNanos = timeoutNanos;
  }

  @Override
  public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
    if (queue.rows() >= batchSize) {
      return new Run(0, batchSize, DispatchReason.FULL);
    }
    long until = queue.acceptedNanos(0) + timeoutNanos;
    if (until - nowNanos <= 0) {
      return new Run(0, queue.rows(), DispatchReason.HOLD_TIMEOUT);
    }
    long poll = Math.ceilDiv(until, POLL_NANOS) * POLL_NANOS;
    return new Hold(poll, queue.totalRows() - queue.rows() + batchSize);
  }
}

package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.QueueView;

/**
 * What Triton's dynamic batcher does with preferred sizes and a delay: the largest preferred size
 * that waits runs at once; else the oldest request waits for the delay, idle instance or not, and
 * then everything runs that fits. The payload that it forms ahead, which still grows until an
 * instance takes it, makes no difference to that and is left out.
 *
 * <p>Source: the behaviour of {@code dynamic_batch_scheduler.cc} of triton-inference-server/core,
 * at commit 01ea7d9; the sizes and the delay of the contender are the example of its documentation.
 */
final class TritonLikePolicy implements BatchPolicy {
  private final int[] preferredSizes;
  private final long delayNanos;

  /**
   * @param preferredSizes ascending
   */
  TritonLikePolicy(long delayNanos, int... preferredSizes) {
    this.preferredSizes = preferredSizes.clone();
    this.delayNanos = delayNanos;
  }

  @Override
  public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
    int pending = Math.min(queue.rows(), queue.maxBatchSize());
    long until = queue.acceptedNanos(0) + delayNanos;
    if (until - nowNanos <= 0) {
      return new Run(0, pending, DispatchReason.HOLD_TIMEOUT);
    }
    int best = 0;
    int next = preferredSizes[0];
    for (int size : preferredSizes) {
      if (size <= pending) {
        best = size;
      }
      if (size > pending) {
        next = size;
        break;
      }
    }
    if (best > 0) {
      return new Run(0, best, DispatchReason.BUCKET);
    }
    return new Hold(until, queue.totalRows() - queue.rows() + next);
  }
}

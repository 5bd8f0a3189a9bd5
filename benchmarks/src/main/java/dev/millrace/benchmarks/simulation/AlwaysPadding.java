package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.QueueView;

/** Takes all that waits and pads it to the longest, whatever that costs. */
final class AlwaysPadding implements BatchPolicy {
  @Override
  public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
    return new Run(0, queue.rows(), DispatchReason.DRAIN);
  }

  @Override
  public boolean worthPadding(
      int shape, int rows, int otherShape, int otherRows, long paddedRowElements) {
    return true;
  }
}

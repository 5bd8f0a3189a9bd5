package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.QueueView;

/** Takes all that waits, with a fixed number of batches at once. */
record LimitedPolicy(int concurrency) implements BatchPolicy {
  @Override
  public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
    return new Run(0, queue.rows(), DispatchReason.DRAIN);
  }
}

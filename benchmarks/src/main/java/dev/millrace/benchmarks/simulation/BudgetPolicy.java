package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.QueueView;

/**
 * Fills what is left until the first deadline, as Clipper does: gives up heads that cannot make it
 * even alone and takes the largest batch that the head survives. Knows the true curve, which
 * Clipper has to learn. Without deadlines it takes everything.
 *
 * <p>Source: the behaviour of {@code task_executor.hpp} of ucbrise/clipper, and Crankshaw et al.,
 * Clipper: A Low-Latency Online Prediction Serving System, NSDI 2017.
 */
final class BudgetPolicy implements BatchPolicy {
  private final ServiceCurve curve;

  BudgetPolicy(ServiceCurve curve) {
    this.curve = curve;
  }

  @Override
  public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
    int cap = queue.maxBatchSize();
    if (!queue.hasDeadlines()) {
      return new Run(0, cap, DispatchReason.DRAIN);
    }
    double alone = 1e6 * curve.millis(1);
    int shed = 0;
    while (shed < queue.requests() && queue.deadlineNanos(shed) - nowNanos < alone) {
      shed++;
    }
    if (shed == queue.requests()) {
      return new Run(shed, cap, DispatchReason.DEADLINE);
    }
    double budget = (double) (queue.deadlineNanos(shed) - nowNanos);
    int rows = 1;
    while (rows < cap && 1e6 * curve.millis(rows + 1) <= budget) {
      rows++;
    }
    return new Run(shed, rows, DispatchReason.DEADLINE);
  }
}

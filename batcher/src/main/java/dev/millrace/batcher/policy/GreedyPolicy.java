package dev.millrace.batcher.policy;

/**
 * Takes what waits, at once: nothing waits while a runner is idle. Stateless.
 *
 * <p>With several runners it takes one share of as many as there are runners. A runner that took
 * everything would leave the others without work until its clients have their answers and ask
 * again; what it leaves is for the one that is free next.
 */
public final class GreedyPolicy implements BatchPolicy {
  private final int runners;

  /** A policy for one runner, which takes all that fits. */
  public GreedyPolicy() {
    this(1);
  }

  /** A policy for that many runners. */
  public GreedyPolicy(int runners) {
    if (runners < 1) {
      throw new IllegalArgumentException("runners must be positive: " + runners);
    }
    this.runners = runners;
  }

  @Override
  public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
    int share = Math.ceilDiv(queue.rows(), runners);
    int cap = Math.max(1, queue.maxBatchSize());
    DispatchReason reason =
        share >= cap
            ? DispatchReason.FULL
            : share < queue.rows() ? DispatchReason.SHARE : DispatchReason.DRAIN;
    return new Run(0, share, reason);
  }
}

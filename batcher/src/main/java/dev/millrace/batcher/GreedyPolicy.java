package dev.millrace.batcher;

/** Takes all that fits, at once: nothing waits while a runner is idle. Stateless. */
public final class GreedyPolicy implements BatchPolicy {
  @Override
  public Decision decide(QueueView queue, long nowNanos) {
    return new Run(queue.frontRows());
  }
}

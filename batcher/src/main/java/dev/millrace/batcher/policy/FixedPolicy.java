package dev.millrace.batcher.policy;

/**
 * What other servers do: a batch runs when it is full or when its oldest request has waited for the
 * delay, whichever comes first, whether or not a runner is idle. For comparison, and for who wants
 * exactly that. Stateless.
 */
public final class FixedPolicy implements BatchPolicy {
  private final int batchSize;
  private final long delayNanos;

  /**
   * @param batchSize rows that make a batch full
   * @param delayNanos longest wait for it to fill; 0 takes what is there
   */
  public FixedPolicy(int batchSize, long delayNanos) {
    if (batchSize < 1 || delayNanos < 0) {
      throw new IllegalArgumentException(
          "a batch needs rows and a delay that is not negative: %d, %d"
              .formatted(batchSize, delayNanos));
    }
    this.batchSize = batchSize;
    this.delayNanos = delayNanos;
  }

  @Override
  public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
    if (queue.rows() >= batchSize) {
      return new Run(0, batchSize, DispatchReason.FULL);
    }
    long until = queue.acceptedNanos(0) + delayNanos;
    if (until - nowNanos <= 0) {
      return new Run(
          0, queue.rows(), delayNanos == 0 ? DispatchReason.DRAIN : DispatchReason.HOLD_TIMEOUT);
    }
    return new Hold(until, queue.totalRows() - queue.rows() + batchSize);
  }
}

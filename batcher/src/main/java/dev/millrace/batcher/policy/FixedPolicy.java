package dev.millrace.batcher.policy;

import java.util.List;

/**
 * What other servers do: a batch runs when it is full or when its oldest request has waited for the
 * delay, whichever comes first, whether or not a runner is idle; or, where some sizes are
 * preferred, when it reaches one of them. For comparison, and for who wants exactly that.
 * Stateless.
 */
public final class FixedPolicy implements BatchPolicy {
  private final int batchSize;
  private final long delayNanos;
  private final int[] preferred;

  /** A policy that prefers no sizes. */
  public FixedPolicy(int batchSize, long delayNanos) {
    this(batchSize, delayNanos, List.of());
  }

  /**
   * @param batchSize rows that make a batch full
   * @param delayNanos longest wait for it to fill; 0 takes what is there
   * @param preferredSizes ascending sizes that run at once, the largest that is reached, until the
   *     delay has passed
   */
  public FixedPolicy(int batchSize, long delayNanos, List<Integer> preferredSizes) {
    if (batchSize < 1 || delayNanos < 0) {
      throw new IllegalArgumentException(
          "a batch needs rows and a delay that is not negative: %d, %d"
              .formatted(batchSize, delayNanos));
    }
    this.batchSize = batchSize;
    this.delayNanos = delayNanos;
    this.preferred =
        preferredSizes.stream().mapToInt(Integer::intValue).filter(b -> b < batchSize).toArray();
  }

  @Override
  public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
    if (queue.rows() >= batchSize) {
      return new Run(0, batchSize, DispatchReason.FULL);
    }
    long until = queue.acceptedNanos(0) + delayNanos;
    if (delayNanos > 0 && until - nowNanos <= 0) {
      return new Run(0, queue.rows(), DispatchReason.HOLD_TIMEOUT);
    }
    int reached = 0;
    int next = batchSize;
    for (int i = preferred.length - 1; i >= 0 && reached == 0; i--) {
      if (preferred[i] <= queue.rows()) {
        reached = preferred[i];
      } else {
        next = preferred[i];
      }
    }
    if (reached > 0) {
      return new Run(0, reached, DispatchReason.BUCKET);
    }
    return delayNanos == 0
        ? new Run(0, queue.rows(), DispatchReason.DRAIN)
        : new Hold(until, queue.totalRows() - queue.rows() + next);
  }
}

package dev.millrace.batcher.policy;

import java.util.List;

/**
 * The bounds of an {@link AdaptivePolicy}. Nothing here has to be tuned: everything else is
 * learned.
 *
 * @param maxBatchSize most rows of one batch; 0 if requests are never merged
 * @param runners that share the queue; at least 1
 * @param batchSizes ascending row counts that the model's batches are padded to; empty if a batch
 *     runs with the rows that it has
 * @param preferredSizes ascending row counts that batches are cut to where that costs little by
 *     what was learned; empty for none; without effect where batches are padded
 * @param latencyTargetNanos time from acceptance to answer that is aimed at: it caps the batches,
 *     and while a queue stands it is the deadline of requests that have none; 0 for no target
 * @param maxHoldNanos bound on a learned hold; 0 never holds, {@link Long#MAX_VALUE} leaves it to
 *     what was learned, which never exceeds half of a single-row run, or a whole one while the
 *     runners are busy all the time
 * @param governed whether fewer batches than there are runners may run at once, as learned. Not for
 *     runners that share processors with connections: runs that go on at once then slow down
 *     because there is much to do, not because of each other, and one fewer only leaves processors
 *     idle
 */
public record AdaptiveConfig(
    int maxBatchSize,
    int runners,
    List<Integer> batchSizes,
    List<Integer> preferredSizes,
    long latencyTargetNanos,
    long maxHoldNanos,
    boolean governed) {

  public AdaptiveConfig {
    if (maxBatchSize < 0) {
      throw new IllegalArgumentException("maxBatchSize is negative: " + maxBatchSize);
    }
    if (runners < 1) {
      throw new IllegalArgumentException("runners is below 1: " + runners);
    }
    batchSizes = List.copyOf(batchSizes);
    preferredSizes = List.copyOf(preferredSizes);
    requireAscending("batchSizes", batchSizes);
    requireAscending("preferredSizes", preferredSizes);
    if (latencyTargetNanos < 0) {
      throw new IllegalArgumentException("latencyTargetNanos is negative: " + latencyTargetNanos);
    }
    if (maxHoldNanos < 0) {
      throw new IllegalArgumentException("maxHoldNanos is negative: " + maxHoldNanos);
    }
  }

  private static void requireAscending(String name, List<Integer> sizes) {
    int previous = 0;
    for (int size : sizes) {
      if (size <= previous) {
        throw new IllegalArgumentException(name + " must be positive and ascend: " + sizes);
      }
      previous = size;
    }
  }

  /** The bounds with no sizes preferred to others. */
  public AdaptiveConfig(
      int maxBatchSize,
      int runners,
      List<Integer> batchSizes,
      long latencyTargetNanos,
      long maxHoldNanos,
      boolean governed) {
    this(maxBatchSize, runners, batchSizes, List.of(), latencyTargetNanos, maxHoldNanos, governed);
  }

  /** Any batch size up to a cap, no latency target, holds as learned. */
  public static AdaptiveConfig of(int maxBatchSize, int runners) {
    return new AdaptiveConfig(maxBatchSize, runners, List.of(), 0, Long.MAX_VALUE, true);
  }
}

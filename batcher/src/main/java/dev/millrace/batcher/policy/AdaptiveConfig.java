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
 * @param latencyTargetNanos time from acceptance to answer that is aimed at: it caps the batches,
 *     and while a queue stands it is the deadline of requests that have none; 0 for no target
 * @param maxHoldNanos bound on a learned hold; 0 never holds, {@link Long#MAX_VALUE} leaves it to
 *     what was learned, which never exceeds half of a single-row run
 */
public record AdaptiveConfig(
    int maxBatchSize,
    int runners,
    List<Integer> batchSizes,
    long latencyTargetNanos,
    long maxHoldNanos) {

  public AdaptiveConfig {
    if (maxBatchSize < 0) {
      throw new IllegalArgumentException("maxBatchSize is negative: " + maxBatchSize);
    }
    if (runners < 1) {
      throw new IllegalArgumentException("runners is below 1: " + runners);
    }
    batchSizes = List.copyOf(batchSizes);
    int previous = 0;
    for (int size : batchSizes) {
      if (size <= previous) {
        throw new IllegalArgumentException("batchSizes must be positive and ascend: " + batchSizes);
      }
      previous = size;
    }
    if (latencyTargetNanos < 0) {
      throw new IllegalArgumentException("latencyTargetNanos is negative: " + latencyTargetNanos);
    }
    if (maxHoldNanos < 0) {
      throw new IllegalArgumentException("maxHoldNanos is negative: " + maxHoldNanos);
    }
  }

  /** Any batch size up to a cap, no latency target, holds as learned. */
  public static AdaptiveConfig of(int maxBatchSize, int runners) {
    return new AdaptiveConfig(maxBatchSize, runners, List.of(), 0, Long.MAX_VALUE);
  }
}

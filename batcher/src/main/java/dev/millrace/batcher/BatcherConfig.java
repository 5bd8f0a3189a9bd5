package dev.millrace.batcher;

import static java.util.Objects.requireNonNull;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a batcher keeps to, whatever its policy says.
 *
 * @param maxBatchSize most rows (dimension 0) that the model sees at once; 0 if requests are never
 *     merged nor split, so that inputs need no common first dimension
 * @param queueLimit most requests that wait, those that run not counted
 * @param queueBytes most bytes of inputs that wait; a request beyond it is still accepted while
 *     nothing else waits
 * @param batchSizes the only numbers of rows that the model is to see, ascending: a batch is filled
 *     up to the next one. Empty for any. Costs the time of the rows that nobody asked for; pays for
 *     engines that compile or tune for each size, and makes a row's numbers independent of the
 *     batch that it shares when there is one size only.
 * @param padding how requests of different lengths share a batch; null if they do not
 * @param priorityLimits most requests that wait of a priority, for those priorities that have such
 *     a bound beside the one of all
 */
public record BatcherConfig(
    int maxBatchSize,
    int queueLimit,
    long queueBytes,
    List<Integer> batchSizes,
    @Nullable Padding padding,
    Map<Integer, Integer> priorityLimits) {
  public BatcherConfig {
    requireNonNull(batchSizes, "batchSizes is null");
    batchSizes = List.copyOf(batchSizes);
    priorityLimits = Map.copyOf(priorityLimits);
    if (maxBatchSize < 0) {
      throw new IllegalArgumentException("maxBatchSize is negative: " + maxBatchSize);
    }
    if (queueLimit < 1) {
      throw new IllegalArgumentException("queueLimit is below 1: " + queueLimit);
    }
    if (queueBytes < 1) {
      throw new IllegalArgumentException("queueBytes is below 1: " + queueBytes);
    }
    priorityLimits.forEach((priority, limit) -> {
      if (priority < 0 || priority > Batcher.LOWEST_PRIORITY || limit < 1) {
        throw new IllegalArgumentException(
            "priorityLimits has no priority %d with a limit of %d".formatted(priority, limit));
      }
    });
    int previous = 0;
    for (int size : batchSizes) {
      if (size <= previous || size > maxBatchSize) {
        throw new IllegalArgumentException(
            "batchSizes must ascend from 1 to maxBatchSize (%d): %s"
                .formatted(maxBatchSize, batchSizes));
      }
      previous = size;
    }
  }

  /** Bounds that are the same for all priorities. */
  public BatcherConfig(
      int maxBatchSize,
      int queueLimit,
      long queueBytes,
      List<Integer> batchSizes,
      @Nullable Padding padding) {
    this(maxBatchSize, queueLimit, queueBytes, batchSizes, padding, Map.of());
  }

  /** Bounds, for batches of any size of requests of equal lengths. */
  public BatcherConfig(int maxBatchSize, int queueLimit, long queueBytes) {
    this(maxBatchSize, queueLimit, queueBytes, List.of(), null);
  }
}

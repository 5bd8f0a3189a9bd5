package dev.millrace.batcher;

/**
 * Time that one row takes in one runner, over the latest batches: each batch counts 0.9 times as
 * much as the next one. Not thread-safe.
 */
final class MeasuredSpeed {
  private static final double DECAY = 0.9;

  private double rows;
  private double nanos;

  void add(int batchRows, long batchNanos) {
    rows = rows * DECAY + batchRows;
    nanos = nanos * DECAY + batchNanos;
  }

  /** Nanoseconds; 0 if nothing was measured. */
  double nanosPerRow() {
    return rows == 0 ? 0 : nanos / rows;
  }
}

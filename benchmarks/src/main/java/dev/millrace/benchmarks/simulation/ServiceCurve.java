package dev.millrace.benchmarks.simulation;

/** How long a model takes for a batch when it has the device to itself, without noise. */
@FunctionalInterface
interface ServiceCurve {
  /**
   * Milliseconds for {@code rows} rows of {@code rowElements} elements each, in a batch that starts
   * at {@code nowNanos}.
   */
  double millis(int rows, long rowElements, long nowNanos);

  /** For a row of one element at the start of a run: the curve of a model of one shape. */
  default double millis(int rows) {
    return millis(rows, 1, 0);
  }

  /** A curve by rows alone. */
  static ServiceCurve ofRows(ByRows curve) {
    return (rows, rowElements, nowNanos) -> curve.millis(rows);
  }

  /** A fixed part, and one for each row. */
  static ServiceCurve affine(double fixed, double perRow) {
    return ofRows(rows -> fixed + perRow * rows);
  }

  /** A fixed part, and one for each element of each row, as of a model with sequences. */
  static ServiceCurve byElements(double fixed, double perElement) {
    return (rows, rowElements, nowNanos) -> fixed + perElement * rows * (double) rowElements;
  }

  /** Runs batches in sizes that are powers of two: pays for the next one. */
  default ServiceCurve paddedToPowersOfTwo() {
    return (rows, rowElements, nowNanos) -> millis(powerOfTwo(rows), rowElements, nowNanos);
  }

  /** Takes {@code factor} times as long from {@code sinceNanos} on. */
  default ServiceCurve stepAt(long sinceNanos, double factor) {
    return (rows, rowElements, nowNanos) ->
        millis(rows, rowElements, nowNanos) * (nowNanos >= sinceNanos ? factor : 1);
  }

  /** Drifts linearly from the curve to {@code factor} times it between the two times. */
  default ServiceCurve drift(long fromNanos, long toNanos, double factor) {
    return (rows, rowElements, nowNanos) -> {
      double share = (double) (nowNanos - fromNanos) / (double) (toNanos - fromNanos);
      return millis(rows, rowElements, nowNanos) * (1 + (factor - 1) * Math.clamp(share, 0.0, 1.0));
    };
  }

  /** Most rows per millisecond that batches of at most {@code maxBatchSize} rows give. */
  default double capacity(int maxBatchSize) {
    double best = 0;
    for (int rows = 1; rows <= maxBatchSize; rows++) {
      best = Math.max(best, rows / millis(rows));
    }
    return best;
  }

  private static int powerOfTwo(int rows) {
    return rows <= 1 ? 1 : Integer.highestOneBit(rows - 1) << 1;
  }

  /** Milliseconds by rows. */
  @FunctionalInterface
  interface ByRows {
    /** Milliseconds for that many rows. */
    double millis(int rows);
  }
}

package dev.millrace.batcher.policy;

/** Rows of one shape that arrive per nanosecond, on a slow average. Single-threaded. */
final class ArrivalRate {
  /*
   * Arrivals are counted in windows of max(20 ms, 8 single-row runs); each new window counts as much
   * as all before it. A faster estimate follows single bursts, and the size rule then takes small
   * batches just when large ones are needed.
   */

  private static final double LEAST_WINDOW_NANOS = 20e6;
  private static final double WINDOW_RUNS = 8;

  private double windowNanos = LEAST_WINDOW_NANOS;
  private long windowStart;
  private double windowRows;
  private double rate;
  private boolean started;
  private boolean complete;

  /** The window follows the time of a run of one row. */
  void runNanos(double nanos) {
    windowNanos = Math.max(LEAST_WINDOW_NANOS, WINDOW_RUNS * nanos);
  }

  void arrived(int rows, long nanos) {
    if (!started) {
      started = true;
      windowStart = nanos;
    }
    roll(nanos);
    windowRows += rows;
  }

  /** Closes the windows that have ended. */
  void roll(long nowNanos) {
    double elapsed = nowNanos - windowStart;
    if (!started || elapsed < windowNanos) {
      return;
    }
    double seen = windowRows / windowNanos;
    rate = complete ? (rate + seen) / 2 : seen;
    complete = true;
    double empty = Math.floor(elapsed / windowNanos) - 1;
    if (empty > 0) {
      rate *= empty > 60 ? 0 : Math.scalb(1.0, -(int) empty);
    }
    windowStart += (long) ((empty + 1) * windowNanos);
    windowRows = 0;
  }

  double rowsPerNano() {
    return rate;
  }
}

package dev.millrace.batcher.policy;

/** The batches that run now, and how many ran beside each. Single-threaded. */
final class RunsInFlight {
  private final long[] startedNanos;
  private final int[] shape;
  private final int[] rows;
  private final double[] runTimeAtStart;
  private int count;

  /** Time of all runs so far, summed: the integral of {@link #count} over time. */
  private double runTime;

  private long lastNanos;
  private double endedAmong = 1;

  RunsInFlight(int runners) {
    startedNanos = new long[runners];
    shape = new int[runners];
    rows = new int[runners];
    runTimeAtStart = new double[runners];
  }

  int count() {
    return count;
  }

  void start(int batchShape, int batchRows, long nowNanos) {
    if (count == startedNanos.length) {
      return;
    }
    advance(nowNanos);
    startedNanos[count] = nowNanos;
    shape[count] = batchShape;
    rows[count] = batchRows;
    runTimeAtStart[count] = runTime;
    count++;
  }

  /** Takes out a run; false if it is not known. */
  boolean end(int batchShape, int batchRows, long started, long nowNanos) {
    for (int i = 0; i < count; i++) {
      if (startedNanos[i] == started && shape[i] == batchShape && rows[i] == batchRows) {
        advance(nowNanos);
        double own = nowNanos - started;
        endedAmong = own > 0 ? (runTime - runTimeAtStart[i]) / own : 1;
        count--;
        startedNanos[i] = startedNanos[count];
        shape[i] = shape[count];
        rows[i] = rows[count];
        runTimeAtStart[i] = runTimeAtStart[count];
        return true;
      }
    }
    return false;
  }

  private void advance(long nowNanos) {
    if (nowNanos - lastNanos > 0) {
      runTime += count * (double) (nowNanos - lastNanos);
      lastNanos = nowNanos;
    }
  }

  /** How many ran while the last run that ended did, on average, itself among them. */
  double endedAmong() {
    return endedAmong;
  }
}

package dev.millrace.batcher.policy;

/** The batches that run now, found again by when they began. Single-threaded. */
final class RunsInFlight {
  private final long[] startedNanos;
  private final int[] shape;
  private final int[] rows;
  private final int[] runningAtStart;
  private final double[] waitNanos;
  private final boolean[] foundWork;
  private int count;

  /** The run that {@link #end} took out. */
  private int endedRunning;

  private double endedWait;
  private boolean endedFoundWork;

  RunsInFlight(int runners) {
    startedNanos = new long[runners];
    shape = new int[runners];
    rows = new int[runners];
    runningAtStart = new int[runners];
    waitNanos = new double[runners];
    foundWork = new boolean[runners];
  }

  int count() {
    return count;
  }

  void start(int batchShape, int batchRows, double wait, boolean found, long nowNanos) {
    if (count == startedNanos.length) {
      return;
    }
    startedNanos[count] = nowNanos;
    shape[count] = batchShape;
    rows[count] = batchRows;
    waitNanos[count] = wait;
    foundWork[count] = found;
    count++;
    runningAtStart[count - 1] = count;
  }

  /** Takes out a run; false if it is not known. */
  boolean end(int batchShape, int batchRows, long started) {
    for (int i = 0; i < count; i++) {
      if (startedNanos[i] == started && shape[i] == batchShape && rows[i] == batchRows) {
        endedRunning = runningAtStart[i] + count;
        endedWait = waitNanos[i];
        endedFoundWork = foundWork[i];
        count--;
        startedNanos[i] = startedNanos[count];
        shape[i] = shape[count];
        rows[i] = rows[count];
        runningAtStart[i] = runningAtStart[count];
        waitNanos[i] = waitNanos[count];
        foundWork[i] = foundWork[count];
        return true;
      }
    }
    return false;
  }

  /** Runs when it began plus runs when it ended, itself among both. */
  int endedRunning() {
    return endedRunning;
  }

  double endedWait() {
    return endedWait;
  }

  boolean endedFoundWork() {
    return endedFoundWork;
  }
}

package dev.millrace.benchmarks.simulation;

/**
 * What became of the requests for one model that came in the counted part of a run, rows counted
 * where nothing else is said.
 */
final class Tally {
  private final LatencyHistogram latencies = new LatencyHistogram();
  private final long fromNanos;
  private long offeredRows;
  private long inTimeRows;
  private long lateRows;
  private long shedRows;
  private long answeredRows;
  private long batches;
  private long batchRows;
  private double busyNanos;
  private long endNanos;
  private boolean unstable;

  Tally(long fromNanos) {
    this.fromNanos = fromNanos;
  }

  void offered(long acceptedNanos, int rows) {
    if (acceptedNanos >= fromNanos) {
      offeredRows += rows;
    }
  }

  void answered(long acceptedNanos, long deadlineNanos, int rows, long nowNanos) {
    if (nowNanos >= fromNanos) {
      answeredRows += rows;
    }
    if (acceptedNanos < fromNanos) {
      return;
    }
    latencies.add(nowNanos - acceptedNanos);
    if (nowNanos <= deadlineNanos) {
      inTimeRows += rows;
    } else {
      lateRows += rows;
    }
  }

  void shed(long acceptedNanos, int rows) {
    if (acceptedNanos >= fromNanos) {
      shedRows += rows;
    }
  }

  void ran(int rows, long nanos, long nowNanos) {
    if (nowNanos >= fromNanos) {
      batches++;
      batchRows += rows;
      busyNanos += (double) nanos;
    }
  }

  void end(long nowNanos, boolean isUnstable) {
    endNanos = nowNanos;
    unstable = isUnstable;
  }

  /** The run was cut short because the queue kept growing. */
  boolean unstable() {
    return unstable;
  }

  /** Mean time from arrival to answer, in milliseconds; infinite if there was no end to it. */
  double meanMillis() {
    return isUnanswered() ? Double.POSITIVE_INFINITY : latencies.meanNanos() / 1e6;
  }

  private boolean isUnanswered() {
    return unstable || latencies.count() == 0;
  }

  /** A quantile of the same. */
  double quantileMillis(double quantile) {
    return isUnanswered() ? Double.POSITIVE_INFINITY : latencies.quantileNanos(quantile) / 1e6;
  }

  double p99Millis() {
    return quantileMillis(0.99);
  }

  /** Rows answered in a second, late or not. */
  double rowsPerSecond() {
    return (double) answeredRows / seconds();
  }

  /** Rows in a second that came in the counted part and were answered before their deadline. */
  double goodRowsPerSecond() {
    return (double) inTimeRows / seconds();
  }

  long offeredRows() {
    return offeredRows;
  }

  long inTimeRows() {
    return inTimeRows;
  }

  long lateRows() {
    return lateRows;
  }

  long shedRows() {
    return shedRows;
  }

  double rowsPerBatch() {
    return (double) batchRows / (double) batches;
  }

  /** Time of the device that the batches took, alone or not, in seconds. */
  double busySeconds() {
    return busyNanos / 1e9;
  }

  private double seconds() {
    return (double) Math.max(1, endNanos - fromNanos) / 1e9;
  }
}

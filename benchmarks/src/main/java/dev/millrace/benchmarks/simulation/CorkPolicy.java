package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.QueueView;
import java.util.List;

/**
 * BentoML's dispatcher: a batch stays corked, looked at every millisecond, while waiting one more
 * tick for all of it costs less than the mean wait so far; run times are a line through the last 50
 * batches. Its bound on the latency, a minute, is far beyond what is simulated and left out.
 *
 * <p>Source: the behaviour of {@code marshal/dispatcher.py} of bentoml/BentoML.
 */
final class CorkPolicy implements BatchPolicy {
  private static final long TICK_NANOS = 1_000_000;
  private static final long REFIT_NANOS = 5_000_000_000L;
  private static final double DECAY = 0.95;
  private static final int KEPT = 50;

  private final double[] rows = new double[KEPT];
  private final double[] nanos = new double[KEPT];
  private final double[] waits = new double[KEPT];
  private int batches;
  private int waitsSeen;
  private long fittedNanos;
  private double perRow;
  private double meanWait;

  CorkPolicy(List<WarmUpRun> warmUp) {
    for (WarmUpRun run : warmUp) {
      add(run.rows(), (double) run.nanos());
    }
    fit();
  }

  @Override
  public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
    int count = queue.rows();
    int last = queue.requests() - 1;
    double newest = (double) (nowNanos - queue.acceptedNanos(last));
    if (count < queue.maxBatchSize()
        && count * (newest + (double) TICK_NANOS + perRow) <= DECAY * meanWait) {
      return new Hold(nowNanos + TICK_NANOS, Integer.MAX_VALUE);
    }
    waits[waitsSeen++ % KEPT] = (double) (nowNanos - queue.acceptedNanos(0));
    return new Run(0, count, DispatchReason.DRAIN);
  }

  @Override
  public void completed(int shape, int count, long startedNanos, long busyNanos, long nowNanos) {
    add(count, (double) busyNanos);
    if (nowNanos - fittedNanos >= REFIT_NANOS) {
      fittedNanos = nowNanos;
      fit();
    }
  }

  private void add(int count, double busyNanos) {
    rows[batches % KEPT] = count;
    nanos[batches++ % KEPT] = busyNanos;
  }

  /** Least squares; a line needs batches of two sizes. */
  private void fit() {
    int count = Math.min(batches, KEPT);
    double meanRows = mean(rows, count);
    double meanNanos = mean(nanos, count);
    double products = 0;
    double squares = 0;
    for (int i = 0; i < count; i++) {
      products += (rows[i] - meanRows) * (nanos[i] - meanNanos);
      squares += (rows[i] - meanRows) * (rows[i] - meanRows);
    }
    perRow = squares == 0 ? perRow : Math.max(0, products / squares);
    meanWait = mean(waits, Math.min(waitsSeen, KEPT));
  }

  private static double mean(double[] values, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += values[i];
    }
    return count == 0 ? 0 : sum / count;
  }
}

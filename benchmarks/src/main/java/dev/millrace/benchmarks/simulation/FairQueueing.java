package dev.millrace.benchmarks.simulation;

import java.util.Arrays;

/**
 * Start-time fair queueing in time of the device: each batch begins, on a virtual clock, when the
 * one before it of its model ended there, but not before the clock's own time; the earliest begin
 * goes first. A batch is booked with what the last one of its model took and corrected once it has
 * ended.
 *
 * <p>Source: Goyal, Vin and Cheng, Start-time Fair Queueing, SIGCOMM 1996.
 */
final class FairQueueing implements DeviceArbiter {
  private final double[] weights;
  private final double[] ends;
  private final double[] lastNanos;

  /** What the batches that run were booked with. */
  private final double[] booked;

  private double clock;

  FairQueueing(double... weights) {
    this.weights = weights.clone();
    ends = new double[weights.length];
    lastNanos = new double[weights.length];
    booked = new double[weights.length];
  }

  @Override
  public int next(boolean[] wants) {
    int best = -1;
    for (int i = 0; i < wants.length; i++) {
      if (wants[i] && (best < 0 || begin(i) < begin(best))) {
        best = i;
      }
    }
    return best;
  }

  private double begin(int model) {
    return Math.max(clock, ends[model]);
  }

  @Override
  public void started(int model, long nowNanos) {
    clock = begin(model);
    booked[model] = lastNanos[model];
    ends[model] = clock + booked[model] / weights[model];
  }

  @Override
  public void ended(int model, long busyNanos) {
    ends[model] += ((double) busyNanos - booked[model]) / weights[model];
    booked[model] = (double) busyNanos;
    lastNanos[model] = (double) busyNanos;
  }

  @Override
  public String toString() {
    return "fair queueing, weights " + Arrays.toString(weights);
  }
}

package dev.millrace.batcher.policy;

/**
 * How much slower a batch runs while others run beside it, learned while serving. Single-threaded.
 */
final class Slowdown {
  /*
   * s(c) is the time of a run among c, over its time alone. On a device that runs one thing at a time
   * s(c) = c, on idle cores s(c) = 1. Each run is booked at the mean of the numbers of runs when it
   * began and when it ended, in half steps; what is known of a number of runs stands for those beside
   * it until they are seen. Never below 1, and never falling with c.
   */

  private static final double GAIN = 0.1;

  private final double[] ratio;
  private final boolean[] seen;

  Slowdown(int runners) {
    ratio = new double[2 * runners + 1];
    seen = new boolean[2 * runners + 1];
    java.util.Arrays.fill(ratio, 1);
  }

  /**
   * A run took {@code nanos}, where one alone takes {@code alone}.
   *
   * @param halves twice the mean number of runs meanwhile, itself among them
   */
  void add(int halves, double nanos, double alone) {
    if (halves <= 2 || halves >= ratio.length || !(alone > 0)) {
      return;
    }
    double sample = Math.min(nanos / alone, halves);
    ratio[halves] = seen[halves] ? ratio[halves] + GAIN * (sample - ratio[halves]) : sample;
    seen[halves] = true;
  }

  /** The slowdown of a run among that many. */
  double of(int runs) {
    return ofHalves(2 * runs);
  }

  double ofHalves(int halves) {
    int h = Math.min(halves, ratio.length - 1);
    while (h > 2 && !seen[h]) {
      h--;
    }
    return h <= 2 ? 1 : Math.max(1, ratio[h]);
  }
}

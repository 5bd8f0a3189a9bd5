package dev.millrace.batcher.policy;

/**
 * How much slower a batch runs while others run beside it, learned while serving. Single-threaded.
 */
final class Slowdown {
  /*
   * s(c) is the time of a run among c, over its time alone. On a device that runs one thing at a time
   * s(c) = c, on idle cores s(c) = 1. Each run is booked at the number of runs while it lasted, on average, in half steps. Between
   * those that were seen, and beyond them, s is taken to be a line.
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
    int low = h;
    while (low > 2 && !seen[low]) {
      low--;
    }
    if (low == h) {
      return h <= 2 ? 1 : Math.max(1, ratio[h]);
    }
    int high = h + 1;
    while (high < ratio.length && !seen[high]) {
      high++;
    }
    double below = low <= 2 ? 1 : Math.max(1, ratio[low]);
    if (high < ratio.length) {
      double above = Math.max(below, ratio[high]);
      return below + (above - below) * (h - low) / (high - low);
    }
    return low <= 2 ? 1 : 1 + (below - 1) * (h - 2) / (low - 2);
  }
}

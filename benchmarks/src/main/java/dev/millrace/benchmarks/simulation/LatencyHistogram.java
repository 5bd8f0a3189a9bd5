package dev.millrace.benchmarks.simulation;

import java.util.Arrays;

/**
 * Counts durations in buckets of a width of 1/1024 of their size, and exactly up to 2048 ns: fine
 * enough to compare quantiles to a tenth of a per cent.
 */
final class LatencyHistogram {
  private static final int BITS = 10;
  private static final int HALF = 1 << BITS;

  private long[] counts = new long[HALF * 20];
  private long count;
  private double sum;

  void add(long nanos) {
    int index = index(Math.max(0, nanos));
    if (index >= counts.length) {
      counts = Arrays.copyOf(counts, Math.max(index + 1, counts.length * 2));
    }
    counts[index]++;
    count++;
    sum += (double) nanos;
  }

  private static int index(long nanos) {
    int shift = Math.max(0, 63 - BITS - Long.numberOfLeadingZeros(nanos | 1));
    return (shift << BITS) + (int) (nanos >>> shift);
  }

  long count() {
    return count;
  }

  double meanNanos() {
    return count == 0 ? Double.NaN : sum / (double) count;
  }

  /** The middle of the bucket of that quantile, which is between 0 and 1. */
  double quantileNanos(double quantile) {
    if (count == 0) {
      return Double.NaN;
    }
    long rank = Math.max(1, (long) Math.ceil(quantile * (double) count));
    int index = -1;
    while (rank > 0) {
      rank -= counts[++index];
    }
    int shift = Math.max(0, (index >> BITS) - 1);
    long low = (long) (index - (shift << BITS)) << shift;
    return (double) low + (double) ((1L << shift) - 1) / 2;
  }
}

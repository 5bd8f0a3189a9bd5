package dev.millrace.benchmarks.load;

import java.util.Arrays;
import java.util.Random;

/** When the requests of an {@link Load.OpenLoop} come, whatever the server does. */
public enum Arrivals {
  /** At even distances. */
  CONSTANT {
    @Override
    double[] gaps(Random random, int count) {
      double[] gaps = new double[count];
      Arrays.fill(gaps, 1);
      return gaps;
    }
  },

  /** Each independent of the others: distances are exponential. */
  POISSON {
    @Override
    double[] gaps(Random random, int count) {
      double[] gaps = new double[count];
      Arrays.setAll(gaps, i -> exponential(random));
      return gaps;
    }
  },

  /** Eight at once, as from a caller that fans out; the eights come like {@link #POISSON}. */
  BURSTS {
    private static final int SIZE = 8;

    @Override
    double[] gaps(Random random, int count) {
      double[] gaps = new double[count];
      for (int i = 0; i < count; i += SIZE) {
        gaps[i] = SIZE * exponential(random);
      }
      return gaps;
    }
  };

  /** Distance of each arrival to the one before, of mean 1. */
  abstract double[] gaps(Random random, int count);

  /**
   * Nanoseconds from the start at which requests come, ascending, all within {@code nanos}; the
   * same for the same arguments.
   */
  public long[] schedule(double perSecond, long nanos, long seed) {
    if (!(perSecond > 0) || nanos < 0) {
      throw new IllegalArgumentException(
          "a schedule needs a positive rate and a length: %s, %d".formatted(perSecond, nanos));
    }
    double expected = perSecond * nanos / 1e9;
    double[] gaps = gaps(new Random(seed), (int) (expected + 10 * Math.sqrt(expected) + 100));
    long[] schedule = new long[gaps.length];
    double at = 0;
    for (int i = 0; i < gaps.length; i++) {
      at += gaps[i] * 1e9 / perSecond;
      if (at >= nanos) {
        return Arrays.copyOf(schedule, i);
      }
      schedule[i] = (long) at;
    }
    return schedule;
  }

  private static double exponential(Random random) {
    return -Math.log(1 - random.nextDouble());
  }
}

package dev.millrace.benchmarks.simulation;

import java.util.SplittableRandom;

/** Arrival processes that do not look at answers: requests of one row, no deadline, one shape. */
final class Arrivals {
  private static final double NANOS_PER_MILLI = 1e6;

  private Arrivals() {}

  /** Never anything. */
  static final long NEVER = Long.MAX_VALUE;

  /** Time stamps, as a process makes them one after the other. */
  private abstract static class Stamps extends Traffic.Source {
    final SplittableRandom random;

    /** Exact time of the request, of which {@link #nanos} is the whole part. */
    double exactNanos;

    Stamps(SplittableRandom random) {
      this.random = random;
    }

    final double exponential(double meanMillis) {
      return random.nextExponential() * meanMillis * NANOS_PER_MILLI;
    }

    final void at(double time) {
      exactNanos = time;
      nanos = (long) time;
    }
  }

  /** Independent requests, {@code perMilli} of them in a millisecond on average. */
  static Traffic poisson(double perMilli) {
    return random -> {
      Stamps source =
          new Stamps(random) {
            @Override
            protected void advance() {
              at(exactNanos + exponential(1 / perMilli));
            }
          };
      source.advance();
      return source;
    };
  }

  /**
   * Bursts at independent times, as of clients that fan out.
   *
   * @param perMilli requests, not bursts
   * @param gapMillis mean of the exponential time between the requests of a burst
   */
  static Traffic bursts(double perMilli, int burst, double gapMillis) {
    return random -> new Bursts(random, perMilli, burst, gapMillis);
  }

  /** Bursts may overlap: of each that has begun, the next request is kept. */
  private static final class Bursts extends Stamps {
    private final double meanStartMillis;
    private final int burst;
    private final double gapMillis;
    private final TimeHeap open = new TimeHeap();
    private double nextStart;

    Bursts(SplittableRandom random, double perMilli, int burst, double gapMillis) {
      super(random);
      this.meanStartMillis = burst / perMilli;
      this.burst = burst;
      this.gapMillis = gapMillis;
      nextStart = exponential(meanStartMillis);
      advance();
    }

    @Override
    protected void advance() {
      while (open.isEmpty() || nextStart <= open.first()) {
        double time = nextStart;
        for (int i = 0; i < burst; i++) {
          open.add((long) time);
          time += exponential(gapMillis);
        }
        nextStart += exponential(meanStartMillis);
      }
      nanos = open.removeFirst();
    }
  }

  /**
   * Poisson at a rate that switches between two states.
   *
   * @param perMilli mean over both states
   * @param ratio rate in the high state over that in the low one; infinite for on/off
   * @param highMillis mean of the exponential time in the high state
   */
  static Traffic modulated(double perMilli, double ratio, double highMillis, double lowMillis) {
    return random -> new Modulated(random, perMilli, ratio, highMillis, lowMillis);
  }

  /** Requests while on, none while off; both for exponential times. */
  static Traffic onOff(double perMilli, double onMillis, double offMillis) {
    return modulated(perMilli, Double.POSITIVE_INFINITY, onMillis, offMillis);
  }

  private static final class Modulated extends Stamps {
    private final double highRate;
    private final double lowRate;
    private final double highMillis;
    private final double lowMillis;
    private boolean high;
    private double switchNanos;

    Modulated(
        SplittableRandom random,
        double perMilli,
        double ratio,
        double highMillis,
        double lowMillis) {
      super(random);
      double total = highMillis + lowMillis;
      lowRate = Double.isInfinite(ratio) ? 0 : perMilli * total / (ratio * highMillis + lowMillis);
      highRate = Double.isInfinite(ratio) ? perMilli * total / highMillis : lowRate * ratio;
      this.highMillis = highMillis;
      this.lowMillis = lowMillis;
      switchNanos = exponential(lowMillis);
      advance();
    }

    @Override
    protected void advance() {
      double from = exactNanos;
      while (true) {
        double rate = high ? highRate : lowRate;
        double next = rate == 0 ? Double.POSITIVE_INFINITY : from + exponential(1 / rate);
        if (next <= switchNanos) {
          at(next);
          return;
        }
        from = switchNanos;
        high = !high;
        switchNanos += exponential(high ? highMillis : lowMillis);
      }
    }
  }

  /** The first process until {@code nanos}, the second from then on. */
  static Traffic switching(Traffic before, Traffic after, long nanos) {
    return random -> new Switching(before, after, nanos, random);
  }

  private static final class Switching extends Traffic.Source {
    private final Traffic.Source before;
    private final Traffic.Source after;
    private final long switchNanos;

    Switching(Traffic before, Traffic after, long switchNanos, SplittableRandom random) {
      this.before = before.begin(random.split());
      this.after = after.begin(random.split());
      this.switchNanos = switchNanos;
      follow();
    }

    private boolean isBefore() {
      return before.nanos < switchNanos;
    }

    private void follow() {
      Traffic.Source source = isBefore() ? before : after;
      nanos = isBefore() || source.nanos == NEVER ? source.nanos : source.nanos + switchNanos;
    }

    @Override
    protected void advance() {
      (isBefore() ? before : after).advance();
      follow();
    }

    @Override
    protected void answered(long nowNanos) {
      if (nowNanos < switchNanos) {
        before.answered(nowNanos);
      } else {
        after.answered(nowNanos - switchNanos);
      }
      follow();
    }
  }

  /**
   * A fixed number of clients, each of which asks again some time after its answer.
   *
   * @param firstMillis mean of the exponential time until each client's first request
   * @param thinkMillis fixed part of the time from answer to request
   * @param jitterMillis mean of an exponential part that is added
   */
  static Traffic closedLoop(
      int clients, double firstMillis, double thinkMillis, double jitterMillis) {
    return random -> new ClosedLoop(random, clients, firstMillis, thinkMillis, jitterMillis);
  }

  private static final class ClosedLoop extends Stamps {
    private final double thinkMillis;
    private final double jitterMillis;
    private final TimeHeap thinking = new TimeHeap();

    ClosedLoop(
        SplittableRandom random,
        int clients,
        double firstMillis,
        double thinkMillis,
        double jitterMillis) {
      super(random);
      this.thinkMillis = thinkMillis;
      this.jitterMillis = jitterMillis;
      for (int i = 0; i < clients; i++) {
        thinking.add((long) exponential(firstMillis));
      }
      nanos = thinking.first();
    }

    @Override
    protected void advance() {
      thinking.removeFirst();
      nanos = thinking.isEmpty() ? NEVER : thinking.first();
    }

    @Override
    protected void answered(long nowNanos) {
      thinking.add(nowNanos + (long) (thinkMillis * NANOS_PER_MILLI + exponential(jitterMillis)));
      nanos = thinking.first();
    }
  }
}

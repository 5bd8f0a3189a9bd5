package dev.millrace.batcher.policy;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * How many of the rows that wait make the next batch. Stateless apart from what it last answered;
 * single-threaded.
 */
final class SizeRule {
  /*
   * Draining x rows in batches of b delays every row by the batches before its own: V(x) = min over b
   * of x*lat(b) + V(x-b). For lat(b) = tau + alpha*b the best b is near sqrt(2*x*tau/alpha): large
   * enough to spread tau, small enough that the first rows are not kept waiting for the last. New
   * rows come meanwhile, and a loaded runner must not waste its time on taus; the factor 1/(1 - rho)
   * under the root was fitted to the exact solution of the semi-Markov decision process (r = alpha/tau
   * = 1, x = 64, rho .05/.1/.4/.6/.8/.9: exact 11, 12, 15, 18, 27, 38). For Poisson arrivals and one
   * runner the rule is within 0.9 % of that optimum. The load counts as 0.95 at most: a closed loop
   * has a load of 1 whatever the size, and the noise of both makes sizes, and so latencies, jump.
   *
   * tau and alpha are those of the curve's secant around b, so that a knee or a power law needs no
   * case of its own. A flat secant (alpha = 0) never stops the search: batching is free there. One
   * without fixed part (tau <= 0) stops at 1: batching gains nothing.
   *
   * The rule is where the derivative of lat(b) * (gain/b + 1) is zero, with gain = 2*x/(1 - rho). The
   * search for it ends at the first size where it holds, which a bump of the curve may bring about, as
   * of times that were learned while something else had the processors: on a curve of 166, 290, 548,
   * 726 us for 1 to 4 rows and 1064 for 16 it ends at 2, and a server that could do 28,000 rows per
   * second did 7,000. So larger sizes are tried by doubling, and one that costs much less is taken;
   * where only noise is between them, the search's answer stays, as it does not jump.
   *
   * Padded models are priced at the sizes that they are padded to: if the answer lies between two,
   * filling up with padding is compared with taking the smaller size and leaving the rest, where time
   * of the runner costs what it costs those behind, P = rows * rho/(1 - rho).
   *
   * Preferred sizes are those that an engine was made for, though it runs others: the curve may have a
   * step behind each, which the secant is too coarse to see. So a batch that reaches one is priced
   * cut to it too, with the rest left for the next, and is cut unless that costs more than a little.
   *
   * Several runners. What is left behind waits only for the next of c runners to end, so the rows in
   * front of it count a c-th: x/c under the root. If others are idle, nothing has to wait: an even
   * split over the runners that are free finishes everything earlier, unless runs slow each other
   * down; both are priced, as above, and the best number of runners wins.
   */

  private static final int[] STEPS = {1, 2, 3, 4, 5, 6, 8, 10, 12, 14};
  private static final double HIGHEST_LOAD = 0.95;

  /** How much less a size beyond a bump has to cost. */
  private static final double MUCH_LESS = 0.8;

  /** What a preferred size may cost more. */
  private static final double PREFERENCE = 0.05;

  private final int[] candidates;
  private final boolean padded;
  private final int[] preferred;
  private DispatchReason reason = DispatchReason.DRAIN;

  /**
   * @param batchSizes ascending sizes that batches are padded to; empty for none
   * @param preferredSizes ascending sizes to cut batches to where that costs little; not for padded
   *     ones
   */
  SizeRule(int maxBatchSize, int[] batchSizes, int[] preferredSizes) {
    int cap = Math.max(1, maxBatchSize);
    padded = batchSizes.length > 0;
    preferred = padded ? new int[0] : Arrays.stream(preferredSizes).filter(b -> b <= cap).toArray();
    candidates =
        padded
            ? batchSizes.clone()
            : IntStream.concat(Arrays.stream(steps(cap)), Arrays.stream(preferred))
                .sorted()
                .distinct()
                .toArray();
  }

  SizeRule(int maxBatchSize, int[] batchSizes) {
    this(maxBatchSize, batchSizes, new int[0]);
  }

  /** 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, ... up to the cap. */
  static int[] steps(int cap) {
    int[] steps = new int[STEPS.length + 4 * 32];
    int n = 0;
    for (int step : STEPS) {
      if (step < cap) {
        steps[n++] = step;
      }
    }
    for (long octave = 16; octave < cap; octave *= 2) {
      for (int quarter = 0; quarter < 4; quarter++) {
        long step = octave + octave / 4 * quarter;
        if (step < cap) {
          steps[n++] = (int) step;
        }
      }
    }
    steps[n++] = cap;
    return Arrays.copyOf(steps, n);
  }

  int[] candidates() {
    return candidates;
  }

  /** Why the last answer was what it was. */
  DispatchReason reason() {
    return reason;
  }

  /**
   * Rows for one batch.
   *
   * @param waiting rows; at least 1
   * @param cap most rows of a batch; at least 1
   * @param load of all runners, 0 to 1
   * @param rate rows per nanosecond that arrive
   * @param runners that may run at once
   */
  int pick(LatencyModel latency, int waiting, int cap, double load, double rate, int runners) {
    int limit = Math.min(waiting, cap);
    double rho = Math.min(HIGHEST_LOAD, load);
    double gain = 2.0 * waiting / runners / (1 - rho);
    int best = limit;
    reason = limit == cap ? DispatchReason.FULL : DispatchReason.DRAIN;
    for (int b : candidates) {
      if (b >= limit) {
        break;
      }
      int low = Math.max(1, b / 2);
      int high = Math.min(cap, 2 * b);
      if (high <= low) {
        break;
      }
      double alpha = Math.max(0, (latency.predict(high) - latency.predict(low)) / (high - low));
      double tau = latency.predict(b) - alpha * b;
      if (b * (double) b * alpha >= gain * tau) {
        best = beyondBump(latency, b, limit, gain);
        if (best < limit) {
          reason = DispatchReason.SQRT;
        }
        break;
      }
    }
    return padded
        ? priced(latency, best, waiting, cap, load, rate, runners)
        : preferred.length > 0 ? cut(latency, best, waiting, cap, load, rate, runners) : best;
  }

  /** The largest preferred size within {@code best} rows, if it is worth it. */
  private int cut(
      LatencyModel latency, int best, int waiting, int cap, double load, double rate, int runners) {
    int within = 0;
    for (int size : preferred) {
      within = size <= best ? size : within;
    }
    if (within == 0
        || within == best
        || cost(latency, within, waiting, cap, load, rate, runners)
            > (1 + PREFERENCE) * cost(latency, best, waiting, cap, load, rate, runners)) {
      return best;
    }
    reason = DispatchReason.BUCKET;
    return within;
  }

  private static int beyondBump(LatencyModel latency, int found, int limit, double gain) {
    int best = found;
    double least = MUCH_LESS * latency.predict(found) * (gain / found + 1);
    for (int b = found; b < limit; ) {
      b = Math.min(limit, 2 * b);
      double cost = latency.predict(b) * (gain / b + 1);
      if (cost < least) {
        least = cost;
        best = b;
      }
    }
    return best;
  }

  private int priced(
      LatencyModel latency, int best, int waiting, int cap, double load, double rate, int runners) {
    int below = 0;
    for (int size : candidates) {
      if (size == best) {
        return best;
      }
      if (size > best) {
        break;
      }
      below = size;
    }
    if (below == 0
        || cost(latency, below, waiting, cap, load, rate, runners)
            >= cost(latency, best, waiting, cap, load, rate, runners)) {
      return best;
    }
    reason = DispatchReason.BUCKET;
    return below;
  }

  private static double cost(
      LatencyModel latency, int b, int waiting, int cap, double load, double rate, int runners) {
    double time = latency.predict(b);
    double next = time / runners;
    double came = rate * next;
    double price = price(waiting + came, load);
    int left = waiting - b;
    double cost = waiting * (left > 0 ? next : time) + price * time;
    if (left > 0) {
      cost += b * (time - next);
      int second = (int) Math.min(cap, left + came);
      double secondTime = latency.predict(second);
      cost += left * secondTime + price * secondTime * Math.min(1, left / (double) second);
    }
    return cost;
  }

  private static double price(double rows, double load) {
    double rho = Math.min(HIGHEST_LOAD, load);
    return rows * rho / (1 - rho);
  }

  /**
   * Among how many of the free runners to split what waits; at least 1.
   *
   * @param free runners with nothing to do, the one that asks among them
   * @param busy runners that run a batch
   */
  int split(
      LatencyModel latency,
      Slowdown slowdown,
      int waiting,
      int cap,
      double load,
      int free,
      int busy) {
    int best = 1;
    double bestCost = Double.POSITIVE_INFINITY;
    double price = price(waiting, load) / Math.max(1, free + busy);
    for (int ways = 1; ways <= free && ways <= waiting; ways++) {
      int each = Math.min(cap, Math.ceilDiv(waiting, ways));
      double time = latency.predict(each) * slowdown.of(busy + ways);
      double cost = waiting * time + price * ways * time;
      if (cost < bestCost * (1 - 1e-9)) {
        bestCost = cost;
        best = ways;
      }
    }
    return best;
  }
}

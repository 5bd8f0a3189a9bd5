package dev.millrace.batcher.policy;

/**
 * Whether a free runner should hold back for more, and how long: learned in hindsight, for one
 * shape. Single-threaded; allocates nothing after construction.
 */
final class HoldLearner {
  /*
   * For Poisson arrivals holding is worth nothing. It is worth up to half of the latency where
   * arrivals depend on each other: clients that ask again when they are answered, and fan-outs. There
   * a greedy runner alternates between cohorts that could have shared a batch.
   *
   * No exploration is needed, because every dispatch shows what each hold would have brought: those
   * who come while a batch runs do not depend on whether it was held back. So with every decision x
   * rows and the time t are noted, and once the batch's time S has passed it is known how many (n)
   * came within each delta of a grid, up to a single-row run. For each the two batches "now,
   * and the rest after" are compared with "after delta, and the rest after": completion times saved,
   * summed over rows, plus the runner's time saved for those behind. With c runners the rest waits S/c.
   * What a batch leaves, only to fill a padded size, is part of the rest, and joins with those who come.
   *
   * The mean gain and its variance are kept by context: what triggered the decision and log2 x. A hold
   * is chosen if the lower bound of its gain exceeds 2 % of the rows' run time. Being wrong costs half
   * a run at most, and about ten bad outcomes flip the sign.
   *
   * While the runners are busy nearly all the time, rows per second come first: the hold under which
   * the two batches take the least of the runner's time, if that is 3 % less. In a closed loop whoever
   * is answered early only asks again early; latency follows throughput there (Little), and the gain
   * of the two batches' completion times misleads. Asked first, this rule also keeps cohorts together.
   * A few rows that a full batch leaves behind need no batch of their own, for others join them; so
   * they may count as much per row as the batch before them, but as they wait a batch longer, the hold
   * has to gain 7 % more for it. Only this rule may hold for a whole single-row run, for clients that
   * take that long to ask again, and for 3 % more.
   *
   * The grid is full information, so Hedge over it would have a regret bound (Freund and Schapire
   * 1997); the moving averages adapt faster and have none.
   */

  private static final int HOLDS = 7;
  private static final int SHORT_HOLDS = 6;
  private static final int SIZES = 8;
  private static final int CONTEXTS = 2 * SIZES;
  private static final int OPEN = 8;
  private static final int LEAST_COUNT = 4;
  private static final double GAIN = 0.08;
  private static final double RATE_GAIN = 0.04;
  private static final double MARGIN = 0.02;
  private static final double CONFIDENCE = 12;
  private static final double RATE_MARGIN = 0.03;
  private static final double LONG_MARGIN = 0.03;
  private static final double LEFT_MARGIN = 0.07;

  private final double[] gain = new double[CONTEXTS * HOLDS];
  private final double[] variance = new double[CONTEXTS * HOLDS];
  private final double[] speedup = new double[CONTEXTS * HOLDS];
  private final double[] came = new double[CONTEXTS];
  private final double[] cameVariance = new double[CONTEXTS];
  private final double[] rateAfter = new double[CONTEXTS];
  private final int[] counts = new int[CONTEXTS];

  private final int[] openContext = new int[OPEN];
  private final int[] openRows = new int[OPEN];
  private final int[] openLeft = new int[OPEN];
  private final int[] openTarget = new int[OPEN];
  private final long[] openNanos = new long[OPEN];
  private final double[] openTime = new double[OPEN];
  private final double[] openSlow = new double[OPEN];
  private final long[] openFrom = new long[OPEN];
  private int openHead;
  private int openCount;

  /** The context of a decision. */
  static int context(boolean completion, int rows) {
    int size = Math.min(SIZES - 1, 31 - Integer.numberOfLeadingZeros(Math.max(1, rows)));
    return completion ? size : SIZES + size;
  }

  /** The {@code i}-th hold of the grid: 1/64, 1/32, ... 1/2, 1 times a single-row run. */
  private static double hold(int i, double runNanos) {
    return runNanos / (1 << (HOLDS - 1 - i));
  }

  /** Rows that may be expected within the longest hold. */
  int expected(int context) {
    return counts[context] < LEAST_COUNT
        ? 0
        : (int) Math.round(came[context] + 0.5 * Math.sqrt(cameVariance[context]));
  }

  /**
   * Rows per nanosecond that came while a batch of all that waited in that context would have run;
   * infinite if there is too little to tell.
   */
  double rowsPerNanoAfter(int context) {
    return counts[context] < LEAST_COUNT ? Double.POSITIVE_INFINITY : rateAfter[context];
  }

  /**
   * The hold that pays in that context, in nanoseconds; 0 if none does.
   *
   * @param saturated whether the runners are busy nearly all the time
   */
  double choose(int context, double runNanos, boolean saturated) {
    if (counts[context] < LEAST_COUNT) {
      return 0;
    }
    int best = -1;
    double bestBound = MARGIN;
    int fastest = -1;
    double bestSpeedup = RATE_MARGIN;
    for (int i = 0; i < HOLDS; i++) {
      int at = context * HOLDS + i;
      double bound = gain[at] - Math.sqrt(variance[at] / Math.min(CONFIDENCE, counts[context]));
      if (i < SHORT_HOLDS && bound > bestBound) {
        bestBound = bound;
        best = i;
      }
      double faster = i < SHORT_HOLDS ? speedup[at] : speedup[at] - LONG_MARGIN;
      if (faster > bestSpeedup) {
        bestSpeedup = faster;
        fastest = i;
      }
    }
    if (saturated && fastest >= 0) {
      best = fastest;
    }
    return best < 0 ? 0 : hold(best, runNanos);
  }

  /**
   * Notes a decision, to be judged later.
   *
   * @param rows of the batch that would run now
   * @param left rows that it would leave for the next
   * @param target rows of the batch at which a hold would have ended
   * @param runNanos expected time of the batch that would run now, if it were alone
   * @param slowdown by what runs beside it
   */
  void open(
      int context,
      int rows,
      int left,
      int target,
      double runNanos,
      double slowdown,
      long nowNanos,
      ArrivalLog log) {
    if (openCount == OPEN) {
      openHead = (openHead + 1) % OPEN;
      openCount--;
    }
    int at = (openHead + openCount++) % OPEN;
    openContext[at] = context;
    openRows[at] = rows;
    openLeft[at] = left;
    openTarget[at] = target;
    openTime[at] = runNanos * slowdown;
    openSlow[at] = slowdown;
    openNanos[at] = nowNanos;
    openFrom[at] = log.count();
  }

  /** Judges the decisions whose time has passed. */
  void learn(LatencyModel latency, ArrivalLog log, int cap, int runners, long nowNanos) {
    while (openCount > 0) {
      int at = openHead;
      double wait = openTime[at] / runners;
      if (nowNanos - openNanos[at] < wait) {
        return;
      }
      openHead = (openHead + 1) % OPEN;
      openCount--;
      if (log.holds(openFrom[at])) {
        judge(at, latency, log, cap, runners);
      }
    }
  }

  private void judge(int open, LatencyModel latency, ArrivalLog log, int cap, int runners) {
    int context = openContext[open];
    int rows = openRows[open];
    long from = openFrom[open];
    long start = openNanos[open];
    double run = openTime[open];
    double slow = openSlow[open];
    double wait = run / runners;
    long end = log.firstAfter(from, start + (long) wait);
    int left = openLeft[open];
    int all = left + log.rowsBetween(from, end);
    double allTime = latency.predict(Math.min(all, cap)) * slow;
    double apart = run + allTime;
    double alternating = run + Math.min(allTime, all * run / rows);
    double single = latency.predict(1) * slow;
    double step = counts[context] == 0 ? 1 : Math.max(GAIN, 1.0 / (counts[context] + 1));
    double slowStep = Math.max(RATE_GAIN, 1.0 / (counts[context] + 1));
    rateAfter[context] += slowStep * ((all - left) / wait - rateAfter[context]);
    int most = Math.max(0, Math.min(openTarget[open], cap) - rows);
    for (int i = 0; i < HOLDS; i++) {
      double held = hold(i, single);
      long last = log.firstAfter(from, start + (long) held);
      int arrived = log.rowsBetween(from, Math.min(last, end));
      int joined = arrived > 0 ? left + arrived : 0;
      if (i == HOLDS - 1) {
        double off = arrived - came[context];
        came[context] += step * off;
        cameVariance[context] =
            counts[context] == 0 ? 0 : (1 - step) * (cameVariance[context] + step * off * off);
      }
      if (most > left && joined >= most) {
        long reached = log.reaching(from, Math.min(last, end), most - left);
        held = Math.max(0, log.nanosOf(reached) - start);
        joined = Math.min(all, left + log.rowsBetween(from, reached + 1));
      }
      double joint = latency.predict(Math.min(rows + joined, Math.max(cap, rows))) * slow;
      int rest = all - joined;
      double restTime = latency.predict(Math.min(rest, cap)) * slow;
      double together = held + joint + restTime;
      double restDone = (held + joint) / runners + restTime;
      double saved =
          joined * (wait + allTime - held - joint)
              - rows * (held + joint - run)
              + rest * (wait + allTime - restDone)
              + (apart - together) * all / runners;
      double perRow = joint / (rows + joined);
      double rolling = alternating / (held + joint + Math.min(restTime, rest * perRow)) - 1;
      double faster = Math.max(apart / together - 1, rolling - LEFT_MARGIN);
      update(context * HOLDS + i, saved / ((rows + all) * run), faster, step);
    }
    counts[context]++;
  }

  private void update(int at, double outcome, double faster, double step) {
    double off = outcome - gain[at];
    gain[at] += step * off;
    variance[at] = step == 1 ? 0 : (1 - step) * (variance[at] + step * off * off);
    speedup[at] += step * (faster - speedup[at]);
  }

  int contexts() {
    return CONTEXTS;
  }

  int count(int context) {
    return counts[context];
  }

  /** The best mean gain of the grid, as a share of the rows' run time. */
  double bestGain(int context) {
    double best = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < HOLDS; i++) {
      best = Math.max(best, gain[context * HOLDS + i]);
    }
    return best;
  }

  static boolean isCompletion(int context) {
    return context < SIZES;
  }

  /** The least rows of that context. */
  static int rowsOf(int context) {
    return 1 << (context % SIZES);
  }
}

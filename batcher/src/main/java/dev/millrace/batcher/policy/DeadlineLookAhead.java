package dev.millrace.batcher.policy;

import org.jspecify.annotations.Nullable;

/**
 * Which requests to give up and how many rows to run so that the most end in time. Single-threaded;
 * allocates nothing after construction. {@link #look} leaves its answer in the fields' accessors.
 */
final class DeadlineLookAhead {
  /*
   * While everything would be in time with the size that the size rule chose, deadlines change
   * nothing; that is found out by one comparison if the earliest deadline has room for the whole
   * queue. Otherwise every candidate size b is scored by two batches: the first takes b rows from the
   * first request that would be in time in it, giving up those before; the second takes what then
   * waits, those who come meanwhile among them. A score counts the rows in time, less the runner's
   * time at a price: nothing below 70 % load, up to all that the runner could serve in that time.
   *
   * Three mistakes are easy to make. The first request's deadline must not bound b: small batches serve
   * less, which makes the next first request still later, and so on down to batches of one. Those who
   * come during the first batch belong to the second; without them a small batch now and a large one
   * later always looks better, later too. And the second batch does not help those that it is too late
   * for.
   *
   * Most sizes need not be looked at. The largest is scored first, and a size that cannot score more,
   * whatever requests there are, is left out: its first batch is worth at most its rows less the price
   * of their run, its second at most a full one that runs at the model's highest speed. Under load the
   * price sees to it that few sizes remain. The others are compared in ascending order, the largest
   * last, because of several that score the same the first wins, unless a later one gives up less.
   *
   * With several classes of priority the sacrifice comes from the lowest that the next batch reaches.
   * Whole classes from the first on are kept while all of them would be in time in one batch; what
   * they need is then part of every candidate, which has to end in time for them, and only among the
   * rows of the class after them is there a choice. The classes behind that one have to wait.
   *
   * Within a class the front is nearly by deadline, but not quite: who has none, or a late one, stands
   * among the others by age. Whoever stands behind such a request counts as if due no sooner, so that
   * nobody is given up for a deadline that another has.
   */

  private static final int LIMIT = 1024;
  private static final double HOPELESS = 0.95;
  private static final double FREE_LOAD = 0.7;
  private static final double SMOOTHING = 0.1;

  /** How much higher than the highest speed at the sizes of the curve that between them may be. */
  private static final double PEAK_BETWEEN_SIZES = 1.125;

  private final int[] candidates;
  private final double[] slacks = new double[LIMIT];
  private final int[] rowsBefore = new int[LIMIT + 1];

  /** Where to look if the front is in order and of single rows; else it was copied. */
  private @Nullable QueueView direct;

  private int directFrom;
  private double directImplicit;
  private long directNow;

  private LatencyModel latency = new LatencyModel(1, new int[0]);
  private double slow = 1;
  private double allowance;
  private int kept;
  private int shed;
  private int rows;
  private boolean decided;

  private int start;
  private int end;
  private int total;
  private boolean single;
  private int keptRows;
  private double keptSlack;
  private int firstInFirst;
  private int firstInSecond;
  private int lastSecond;
  private double secondTime;
  private double price;
  private double mostNetPerRow;
  private double floor;
  private double score;
  private int first;
  private int taken;
  private double bestScore;
  private int bestFirst;
  private int bestRows;

  /**
   * @param candidates ascending sizes to consider
   */
  DeadlineLookAhead(int[] candidates) {
    this.candidates = candidates.clone();
  }

  /** Requests of the front to keep, before those that are given up. */
  int kept() {
    return kept;
  }

  /** Requests to give up after those. */
  int shed() {
    return shed;
  }

  /** Rows to run of the others. */
  int rows() {
    return rows;
  }

  /** Whether deadlines changed anything. */
  boolean decided() {
    return decided;
  }

  /**
   * @param slowdown factor on predicted times
   * @param pick rows that would run if there were no deadlines
   * @param cap most rows of a batch
   * @param rate rows per nanosecond that arrive
   * @param runners that may run at once
   * @param implicitNanos allowance, from acceptance, of requests without a deadline; 0 for none
   */
  void look(
      QueueView queue,
      LatencyModel model,
      double slowdown,
      int pick,
      int cap,
      double rate,
      int runners,
      double implicitNanos,
      long nowNanos) {
    latency = model;
    slow = slowdown;
    kept = 0;
    shed = 0;
    rows = pick;
    decided = false;
    if (allInTime(queue, queue.requests(), pick, runners, implicitNanos, nowNanos)) {
      return;
    }
    decided = true;
    double least = HOPELESS * latency.predict(1) * slow;
    int gone = queue.ordered() ? firstInTime(queue, least, implicitNanos, nowNanos) : 0;
    if (gone == queue.requests()) {
      shed = gone;
      return;
    }
    copy(queue, gone, implicitNanos, nowNanos);
    choose(queue, least, cap);
    if (kept + shed == end) {
      rows = keptRows > 0 ? keptRows : pick;
      return;
    }
    if (!queue.ordered() && end < queue.requests() && kept + shed == 0) {
      int alone = Math.min(pick, before(end));
      if (allInTime(queue, end, alone, runners, implicitNanos, nowNanos)) {
        rows = alone;
        return;
      }
    }
    learnAllowance(queue, gone, implicitNanos, nowNanos);
    scan(queue.rows() - gone(queue, gone), pick, cap, rate, runners);
    if (bestRows > 0) {
      shed = bestFirst - kept;
      rows = bestRows;
    }
    shed += gone;
  }

  /** Whether the first requests are, in batches of that many rows. */
  private boolean allInTime(
      QueueView queue, int requests, int pick, int runners, double implicitNanos, long nowNanos) {
    boolean whole = requests == queue.requests();
    boolean ordered = queue.ordered();
    double time = safe(whole ? Math.min(pick, queue.rows()) : pick);
    if (whole && ordered) {
      int batches = Math.ceilDiv(queue.rows(), pick);
      double first = slack(queue, 0, implicitNanos, nowNanos);
      if (first >= time + (batches - 1) * time / runners) {
        return true;
      }
      if (first < time) {
        return false;
      }
    }
    boolean leap = ordered && queue.requests() == queue.rows();
    int taken = 0;
    double due = time;
    for (int i = 0; i < requests; i += leap ? pick : 1) {
      int more = leap ? pick : queue.rows(i);
      if (taken > 0 && taken + more > pick) {
        taken = 0;
        due += time / runners;
      }
      taken += more;
      if (slack(queue, i, implicitNanos, nowNanos) < due) {
        return false;
      }
    }
    return true;
  }

  private double slack(QueueView queue, int i, double implicitNanos, long nowNanos) {
    long deadline = queue.deadlineNanos(i);
    if (deadline != Long.MAX_VALUE) {
      return deadline - nowNanos;
    }
    return implicitNanos > 0
        ? queue.acceptedNanos(i) - nowNanos + implicitNanos
        : Double.POSITIVE_INFINITY;
  }

  private int firstInTime(QueueView queue, double time, double implicitNanos, long nowNanos) {
    int low = 0;
    int high = queue.requests();
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (slack(queue, middle, implicitNanos, nowNanos) < time) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  private int gone(QueueView queue, int requests) {
    int gone = 0;
    for (int i = 0; i < requests && !single; i++) {
      gone += queue.rows(i);
    }
    return single ? requests : gone;
  }

  /**
   * Notes what the choice needs of the front: a copy in its order, the deadlines of a class made to
   * ascend, unless it can be asked as it is.
   */
  private void copy(QueueView queue, int from, double implicitNanos, long nowNanos) {
    end = Math.min(LIMIT, queue.requests() - from);
    single = queue.requests() == queue.rows();
    boolean ordered = queue.ordered();
    direct = null;
    if (ordered && single) {
      direct = queue;
      directFrom = from;
      directImplicit = implicitNanos;
      directNow = nowNanos;
      return;
    }
    int sum = 0;
    for (int i = 0; i < end; i++) {
      double own = slack(queue, from + i, implicitNanos, nowNanos);
      boolean behind = !ordered && i > 0 && queue.priority(i) == queue.priority(i - 1);
      slacks[i] = behind ? Math.max(own, slacks[i - 1]) : own;
      rowsBefore[i] = sum;
      sum += single ? 1 : queue.rows(from + i);
    }
    rowsBefore[end] = sum;
  }

  private double slack(int i) {
    return direct == null ? slacks[i] : slack(direct, directFrom + i, directImplicit, directNow);
  }

  /** Rows of the requests before the {@code i}-th. */
  private int before(int i) {
    return direct == null ? rowsBefore[i] : i;
  }

  /**
   * Finds the classes to keep, and the class to choose from, of which those are left that could be
   * in time alone: from {@code kept + shed} to {@code end}.
   */
  private void choose(QueueView queue, double alone, int cap) {
    int all = end;
    int start = 0;
    int from;
    keptRows = 0;
    keptSlack = Double.POSITIVE_INFINITY;
    while (true) {
      end = queue.ordered() ? all : endOfClass(queue, start, all);
      from = firstInTime(start, end, alone);
      if (end == all || (from > kept && from < end)) {
        break;
      }
      if (from == kept) {
        int wanted = before(end);
        double least = Math.min(keptSlack, slack(from));
        if (wanted > cap || least < safe(wanted)) {
          break;
        }
        kept = end;
        keptRows = wanted;
        keptSlack = least;
      }
      start = end;
    }
    shed = from - kept;
  }

  private static int endOfClass(QueueView queue, int start, int all) {
    int priority = queue.priority(start);
    int i = start + 1;
    while (i < all && queue.priority(i) == priority) {
      i++;
    }
    return i;
  }

  private void learnAllowance(QueueView queue, int gone, double implicitNanos, long nowNanos) {
    int middle = gone + kept + shed + (end - kept - shed) / 2;
    double given =
        slack(queue, middle, implicitNanos, nowNanos) + (nowNanos - queue.acceptedNanos(middle));
    if (given < Double.POSITIVE_INFINITY) {
      allowance = allowance == 0 ? given : allowance + SMOOTHING * (given - allowance);
    }
  }

  private void scan(int waiting, int pick, int cap, double rate, int runners) {
    double peak = latency.peakNear(allowance / 2 / slow, cap) / slow;
    double load = peak > 0 ? rate / runners / peak : 0;
    price = slow * peak * Math.clamp((load - FREE_LOAD) / (1 - FREE_LOAD), 0, 1);
    mostNetPerRow = Math.max(0, 1 - price / (latency.peak(cap) * PEAK_BETWEEN_SIZES));
    start = kept + shed;
    total = before(end) + (end == LIMIT ? waiting - before(LIMIT) : 0);
    firstInFirst = start;
    firstInSecond = start;
    lastSecond = -1;
    bestScore = Double.NEGATIVE_INFINITY;
    bestRows = 0;
    floor = Double.NEGATIVE_INFINITY;
    int least = Math.max(1, keptRows);
    int most = Math.min(cap, keptRows + total - before(start));
    score(most, cap, rate, runners);
    double scoreOfMost = score;
    int firstOfMost = first;
    int takenOfMost = taken;
    floor = scoreOfMost - 1e-6;
    double netOfFirst = net(least, least);
    int below = least;
    for (int b : candidates) {
      if (b >= most) {
        break;
      }
      if (b > least) {
        netOfFirst = Math.max(netOfFirst, net(b, below + 1));
        below = b;
        if (!single || !(netOfFirst + cap * mostNetPerRow < floor)) {
          score(b, cap, rate, runners);
          compare();
        }
      }
    }
    score = scoreOfMost;
    first = firstOfMost;
    taken = takenOfMost;
    compare();
    int picked = Math.clamp(pick, least, most);
    if (picked != most) {
      score(picked, cap, rate, runners);
      compare();
    }
    if (least != picked) {
      score(least, cap, rate, runners);
      compare();
    }
  }

  /** That many rows in time, less the price of a run of {@code run} rows. */
  private double net(int rows, int run) {
    return rows - price * latency.predict(run);
  }

  /** Remembers what was scored last if it is the best, or as good and gives up less. */
  private void compare() {
    if (score > bestScore + 1e-9 || (score > bestScore - 1e-9 && first < bestFirst)) {
      bestScore = score;
      bestFirst = first;
      bestRows = taken;
    }
  }

  /**
   * Scores a size, and leaves with that which request is the first that is taken, and how many rows
   * are; less than any score if it would be less than {@code floor}.
   */
  private void score(int b, int cap, double rate, int runners) {
    score = Double.NEGATIVE_INFINITY;
    double time = safe(b);
    firstInFirst = near(firstInFirst, time);
    first = b > keptRows ? firstInFirst : start;
    int last = b > keptRows ? endOf(first, b - keptRows) : start;
    taken = Math.min(cap, keptRows + before(last) - before(first));
    if (taken != b) {
      time = safe(taken);
    }
    if (taken == 0 || time > keptSlack) {
      return;
    }
    double came = rate * time / runners;
    int left = total - before(last);
    int second = (int) Math.min(cap, left + came);
    double netOfFirst = net(taken, taken);
    if (netOfFirst + second * mostNetPerRow < floor) {
      return;
    }
    if (second != lastSecond) {
      lastSecond = second;
      secondTime = safe(second);
    }
    double secondEnd = time / runners + secondTime;
    firstInSecond = near(firstInSecond, secondEnd);
    int late = Math.max(firstInSecond, last);
    int inTime = late == end ? 0 : total - before(late);
    double counted = Math.min(second, inTime + (secondEnd <= allowance ? came : 0));
    score = netOfFirst + counted - price * latency.predict((int) Math.ceil(counted));
  }

  /**
   * The first of the class to choose from that has that much time; searched from a guess, in steps
   * that double until they are past it.
   */
  private int near(int guess, double time) {
    int low = guess;
    int high = guess;
    if (guess < end && slack(guess) < time) {
      low = guess + 1;
      high = low;
      for (int step = 1; high < end && slack(high) < time; step *= 2) {
        low = high + 1;
        high = Math.min(end, high + step);
      }
    } else {
      for (int step = 1; low > start && slack(low - 1) >= time; step *= 2) {
        high = low - 1;
        low = Math.max(start, low - step);
      }
    }
    return firstInTime(low, high, time);
  }

  /** The first from {@code from} on that has that much time; {@code to} if none before it has. */
  private int firstInTime(int from, int to, double time) {
    int low = from;
    int high = to;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (slack(middle) < time) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** The end of the whole requests from {@code first} on that fit into that many rows. */
  private int endOf(int first, int fit) {
    if (single) {
      return Math.min(end, first + fit);
    }
    int base = before(first);
    int last = Math.min(end, first + (keptRows == 0 ? 1 : 0));
    while (last < end && before(last + 1) - base <= fit) {
      last++;
    }
    return last;
  }

  private double safe(int b) {
    return latency.safe(b) * slow;
  }
}

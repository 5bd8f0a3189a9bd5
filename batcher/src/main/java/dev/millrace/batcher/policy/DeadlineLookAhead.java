package dev.millrace.batcher.policy;

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
   */

  private static final double HOPELESS = 0.95;
  private static final double FREE_LOAD = 0.7;
  private static final double SMOOTHING = 0.1;

  private final int[] candidates;
  private final DeadlineFront front = new DeadlineFront();

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
    front.look(queue, gone, implicitNanos, nowNanos);
    end = front.size();
    choose(queue, least, cap);
    if (kept + shed == end) {
      rows = keptRows > 0 ? keptRows : pick;
      return;
    }
    if (!queue.ordered() && end < queue.requests() && kept + shed == 0) {
      int alone = Math.min(pick, front.before(end));
      if (allInTime(queue, end, alone, runners, implicitNanos, nowNanos)) {
        rows = alone;
        return;
      }
    }
    learnAllowance(queue, gone, implicitNanos, nowNanos);
    scan(queue.rows() - rows(queue, gone), pick, cap, rate, runners);
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
      double first = DeadlineFront.slack(queue, 0, implicitNanos, nowNanos);
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
      if (DeadlineFront.slack(queue, i, implicitNanos, nowNanos) < due) {
        return false;
      }
    }
    return true;
  }

  private int firstInTime(QueueView queue, double time, double implicitNanos, long nowNanos) {
    int low = 0;
    int high = queue.requests();
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (DeadlineFront.slack(queue, middle, implicitNanos, nowNanos) < time) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  private int rows(QueueView queue, int requests) {
    int sum = 0;
    for (int i = 0; i < requests && !front.isSingle(); i++) {
      sum += queue.rows(i);
    }
    return front.isSingle() ? requests : sum;
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
      from = front.firstInTime(start, end, alone);
      if (end == all || (from > kept && from < end)) {
        break;
      }
      if (from == kept) {
        int wanted = front.before(end);
        double least = Math.min(keptSlack, front.slack(from));
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
        DeadlineFront.slack(queue, middle, implicitNanos, nowNanos)
            + (nowNanos - queue.acceptedNanos(middle));
    if (given < Double.POSITIVE_INFINITY) {
      allowance = allowance == 0 ? given : allowance + SMOOTHING * (given - allowance);
    }
  }

  private void scan(int waiting, int pick, int cap, double rate, int runners) {
    double peak = latency.peakNear(allowance / 2 / slow, cap) / slow;
    double load = peak > 0 ? rate / runners / peak : 0;
    price = slow * peak * Math.clamp((load - FREE_LOAD) / (1 - FREE_LOAD), 0, 1);
    mostNetPerRow = Math.max(0, 1 - price / latency.bound(cap));
    start = kept + shed;
    total = front.before(end) + (end == DeadlineFront.LIMIT ? waiting - front.before(end) : 0);
    firstInFirst = start;
    firstInSecond = start;
    lastSecond = -1;
    bestScore = Double.NEGATIVE_INFINITY;
    bestRows = 0;
    floor = Double.NEGATIVE_INFINITY;
    int least = Math.max(1, keptRows);
    int most = Math.min(cap, keptRows + total - front.before(start));
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
        if (!front.isSingle() || !(netOfFirst + cap * mostNetPerRow < floor)) {
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
    firstInFirst = front.firstInTime(start, end, time, firstInFirst);
    first = b > keptRows ? firstInFirst : start;
    int last = b > keptRows ? front.endOf(first, end, b - keptRows, keptRows == 0 ? 1 : 0) : start;
    taken = Math.min(cap, keptRows + front.before(last) - front.before(first));
    if (taken != b) {
      time = safe(taken);
    }
    if (taken == 0 || time > keptSlack) {
      return;
    }
    double came = rate * time / runners;
    int left = total - front.before(last);
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
    firstInSecond = front.firstInTime(start, end, secondEnd, firstInSecond);
    int late = Math.max(firstInSecond, last);
    int inTime = late == end ? 0 : total - front.before(late);
    double counted = Math.min(second, inTime + (secondEnd <= allowance ? came : 0));
    score = netOfFirst + counted - price * latency.predict((int) Math.ceil(counted));
  }

  private double safe(int b) {
    return latency.safe(b) * slow;
  }
}

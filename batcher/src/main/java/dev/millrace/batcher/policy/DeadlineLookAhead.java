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
   * Only among requests of one priority may some be given up for others. With several, only those go
   * that could not be in time even alone.
   */

  private static final int LIMIT = 1024;
  private static final double HOPELESS = 0.95;
  private static final double FREE_LOAD = 0.7;
  private static final double SMOOTHING = 0.1;

  private final int[] candidates;
  private final double[] slack = new double[LIMIT];
  private final int[] before = new int[LIMIT + 1];

  private LatencyModel latency = new LatencyModel(1, new int[0]);
  private double slow = 1;
  private double allowance;
  private int shed;
  private int rows;
  private boolean decided;

  private int count;
  private int total;
  private double best;
  private int bestFirst;
  private int bestRows;

  /**
   * @param candidates ascending sizes to consider
   */
  DeadlineLookAhead(int[] candidates) {
    this.candidates = candidates.clone();
  }

  /** Requests of the front to give up. */
  int shed() {
    return shed;
  }

  /** Rows to run after those. */
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
    shed = 0;
    rows = pick;
    decided = false;
    double single = HOPELESS * latency.predict(1) * slow;
    if (!queue.samePriority()) {
      int requests = queue.requests();
      while (shed < requests && slack(queue, shed, implicitNanos, nowNanos) < single) {
        shed++;
      }
      decided = shed > 0;
      return;
    }
    if (allInTime(queue, pick, runners, implicitNanos, nowNanos)) {
      return;
    }
    decided = true;
    shed = firstInTime(queue, single, implicitNanos, nowNanos);
    if (shed == queue.requests()) {
      return;
    }
    copy(queue, implicitNanos, nowNanos);
    scan(pick, cap, rate, runners);
    if (bestRows > 0) {
      shed += bestFirst;
      rows = bestRows;
    }
  }

  private boolean allInTime(
      QueueView queue, int pick, int runners, double implicitNanos, long nowNanos) {
    int waiting = queue.rows();
    double time = safe(Math.min(pick, waiting));
    int batches = Math.ceilDiv(waiting, pick);
    double first = slack(queue, 0, implicitNanos, nowNanos);
    if (first >= time + (batches - 1) * time / runners) {
      return true;
    }
    int requests = queue.requests();
    boolean single = requests == waiting;
    int i = 0;
    double end = time;
    while (i < requests) {
      if (slack(queue, i, implicitNanos, nowNanos) < end) {
        return false;
      }
      if (single) {
        i += pick;
      } else {
        int taken = queue.rows(i++);
        while (i < requests && taken + queue.rows(i) <= pick) {
          taken += queue.rows(i++);
        }
      }
      end += time / runners;
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

  private void copy(QueueView queue, double implicitNanos, long nowNanos) {
    int requests = queue.requests();
    boolean single = requests == queue.rows();
    count = Math.min(LIMIT, requests - shed);
    int gone = 0;
    if (single) {
      gone = shed;
    } else {
      for (int i = 0; i < shed; i++) {
        gone += queue.rows(i);
      }
    }
    total = queue.rows() - gone;
    int sum = 0;
    for (int i = 0; i < count; i++) {
      slack[i] = slack(queue, shed + i, implicitNanos, nowNanos);
      before[i] = sum;
      sum += single ? 1 : queue.rows(shed + i);
    }
    before[count] = sum;
    int middle = shed + count / 2;
    double given =
        slack(queue, middle, implicitNanos, nowNanos) + (nowNanos - queue.acceptedNanos(middle));
    if (given < Double.POSITIVE_INFINITY) {
      allowance = allowance == 0 ? given : allowance + SMOOTHING * (given - allowance);
    }
  }

  private void scan(int pick, int cap, double rate, int runners) {
    double peak = latency.peakWithin(allowance / 2 / slow, cap) / slow;
    double load = peak > 0 ? rate / runners / peak : 0;
    double price = peak * Math.clamp((load - FREE_LOAD) / (1 - FREE_LOAD), 0, 1);
    best = Double.NEGATIVE_INFINITY;
    bestRows = 0;
    int most = Math.min(cap, total);
    score(Math.min(pick, most), cap, rate, runners, price);
    for (int b : candidates) {
      if (b >= most) {
        break;
      }
      score(b, cap, rate, runners, price);
    }
    score(most, cap, rate, runners, price);
  }

  private void score(int b, int cap, double rate, int runners, double price) {
    double time = safe(b);
    int first = firstInTime(0, time);
    if (first == count) {
      return;
    }
    int end = endOf(first, b);
    int taken = Math.min(cap, before[end] - before[first]);
    if (taken != b) {
      time = safe(taken);
    }
    double came = rate * time / runners;
    int left = total - before[end];
    int second = (int) Math.min(cap, left + came);
    double secondEnd = time / runners + safe(second);
    int inTime = total - before[firstInTime(end, secondEnd)];
    if (firstInTime(end, secondEnd) == count) {
      inTime = 0;
    }
    double counted = Math.min(second, inTime + (secondEnd <= allowance ? came : 0));
    double spent = slow * (latency.predict(taken) + latency.predict((int) Math.ceil(counted)));
    double value = taken + counted - price * spent;
    if (value > best + 1e-9 || (value > best - 1e-9 && first < bestFirst)) {
      best = value;
      bestFirst = first;
      bestRows = taken;
    }
  }

  private int firstInTime(int from, double time) {
    int low = from;
    int high = count;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (slack[middle] < time) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /**
   * The end of the whole requests from {@code first} on that fit into {@code b} rows; at least one.
   */
  private int endOf(int first, int b) {
    int base = before[first];
    if (before[count] == count) {
      return Math.min(count, first + b);
    }
    int end = first + 1;
    while (end < count && before[end + 1] - base <= b) {
      end++;
    }
    return end;
  }

  private double safe(int b) {
    return latency.safe(b) * slow;
  }
}

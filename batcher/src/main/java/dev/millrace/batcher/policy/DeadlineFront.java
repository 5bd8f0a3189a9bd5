package dev.millrace.batcher.policy;

import org.jspecify.annotations.Nullable;

/**
 * How much time the requests of a queue's front have left, from one of them on, and how many rows
 * they are. Single-threaded; allocates nothing after construction.
 */
final class DeadlineFront {
  /*
   * Within a class the front is nearly by deadline, but not quite: who has none, or a late one, stands
   * among the others by age. Whoever stands behind such a request counts as if due no sooner, so that
   * nobody is given up for a deadline that another has, and times left ascend within a class. A front
   * that is in order and of single rows is asked as it is; any other is copied.
   */

  static final int LIMIT = 1024;

  private final double[] slacks = new double[LIMIT];
  private final int[] rowsBefore = new int[LIMIT + 1];
  private @Nullable QueueView direct;
  private int from;
  private double implicitNanos;
  private long nowNanos;
  private int size;
  private boolean single;

  /**
   * Looks at the front as it is now.
   *
   * @param first of its requests that is of interest; the others are numbered from it on
   * @param implicit allowance, from acceptance, of requests without a deadline; 0 for none
   */
  void look(QueueView queue, int first, double implicit, long now) {
    from = first;
    implicitNanos = implicit;
    nowNanos = now;
    size = Math.min(LIMIT, queue.requests() - from);
    single = queue.requests() == queue.rows();
    boolean ordered = queue.ordered();
    direct = ordered && single ? queue : null;
    if (direct == null) {
      copy(queue, ordered);
    }
  }

  private void copy(QueueView queue, boolean ordered) {
    int sum = 0;
    for (int i = 0; i < size; i++) {
      double own = slack(queue, from + i, implicitNanos, nowNanos);
      boolean behind = !ordered && i > 0 && queue.priority(i) == queue.priority(i - 1);
      slacks[i] = behind ? Math.max(own, slacks[i - 1]) : own;
      rowsBefore[i] = sum;
      sum += single ? 1 : queue.rows(from + i);
    }
    rowsBefore[size] = sum;
  }

  /** Nanoseconds that a request of a queue has left. */
  static double slack(QueueView queue, int i, double implicitNanos, long nowNanos) {
    long deadline = queue.deadlineNanos(i);
    if (deadline != Long.MAX_VALUE) {
      return deadline - nowNanos;
    }
    return implicitNanos > 0
        ? queue.acceptedNanos(i) - nowNanos + implicitNanos
        : Double.POSITIVE_INFINITY;
  }

  /** Requests that are seen. */
  int size() {
    return size;
  }

  /** Whether each of the front's requests is of one row. */
  boolean isSingle() {
    return single;
  }

  /** Nanoseconds that the {@code i}-th has left. */
  double slack(int i) {
    return direct == null ? slacks[i] : slack(direct, from + i, implicitNanos, nowNanos);
  }

  /** Rows of the requests before the {@code i}-th. */
  int before(int i) {
    return direct == null ? rowsBefore[i] : i;
  }

  /** The first from {@code low} on that has that much time; {@code high} if none before it has. */
  int firstInTime(int low, int high, double time) {
    int least = low;
    int most = high;
    while (least < most) {
      int middle = (least + most) >>> 1;
      if (slack(middle) < time) {
        least = middle + 1;
      } else {
        most = middle;
      }
    }
    return least;
  }

  /**
   * The first between {@code start} and {@code end} that has that much time; searched from a guess,
   * in steps that double until they are past it.
   */
  int firstInTime(int start, int end, double time, int guess) {
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

  /**
   * The end of the whole requests from {@code first} on, before {@code end}, that fit into that
   * many rows.
   *
   * @param least how many requests to take in any case
   */
  int endOf(int first, int end, int fit, int least) {
    if (single) {
      return Math.min(end, first + fit);
    }
    int base = before(first);
    int last = Math.min(end, first + least);
    while (last < end && before(last + 1) - base <= fit) {
      last++;
    }
    return last;
  }
}

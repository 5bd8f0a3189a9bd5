package dev.millrace.batcher.policy;

/** How many batches should run at once. Single-threaded. */
final class ConcurrencyGovernor {
  /*
   * More runs at once shorten the wait for the next free runner and use idle cores. But they slow each
   * other down, and they make batches smaller, which costs most where batches are nearly free. Which
   * of these weighs most depends on the curve lat(b), the slowdown s(c) and the arrival rate, all of
   * which are learned from every batch; so the best c is computed. For each c:
   *
   *   b   rows per batch at which c runners keep up: the least b with c*b >= rate * s(c) * lat(b)
   *   W   time of a row: its batch, slowed by the runs beside it; the wait for a runner to end, half of
   *       a c-th of a batch; and the queue of a server that takes the slope of lat(b) for each row
   *       (M/D/1), which is what is left to wait for where batches bring no gain
   *
   * The least W wins, the smaller c if it is close, and the most rows per second if no c keeps up. The
   * present c is left only if another is 10 % better at three looks in a row.
   *
   * An earlier version tried one runner more or one less in alternating epochs (A/B) and compared
   * Kleinrock's power. Under a load of 85 % a trial with one runner less is a trial of overload: the
   * backlog that it built made latency up to 25 times worse in simulation, and what one pair of epochs
   * shows is mostly noise, so that the number wandered at low load.
   *
   * The slowdown is relative to a run alone. If none was seen, neither at load nor since, eight batches
   * run alone, once.
   */

  private static final int LOOK_BATCHES = 16;
  private static final int LOOKS = 3;
  private static final double BETTER = 0.9;
  private static final double CLOSE = 0.98;
  private static final int ANCHOR_AFTER = 32;
  private static final int ANCHOR_BATCHES = 8;
  private static final double HIGHEST_LOAD = 0.97;
  private static final int ITERATIONS = 24;

  private final int runners;
  private int chosen;
  private int candidate;
  private int looks;
  private int batches;
  private long alone;
  private long all;
  private int anchoring;

  ConcurrencyGovernor(int runners) {
    this.runners = runners;
    chosen = runners;
  }

  /** The most batches that may run at once now; 1 to the number of runners. */
  int limit() {
    return anchoring > 0 ? 1 : chosen;
  }

  /** The time of a run alone was measured before. */
  void anchored() {
    alone++;
  }

  /**
   * A batch has ended.
   *
   * @param single whether no other ran meanwhile
   * @param rate rows per nanosecond that arrive
   * @param cap most rows of a batch
   */
  void completed(boolean single, LatencyModel latency, Slowdown slowdown, double rate, int cap) {
    if (runners == 1) {
      return;
    }
    all++;
    if (single) {
      alone++;
    }
    if (anchoring > 0) {
      anchoring -= single ? 1 : 0;
      return;
    }
    if (alone == 0 && all >= ANCHOR_AFTER) {
      anchoring = ANCHOR_BATCHES;
      return;
    }
    if (++batches < LOOK_BATCHES) {
      return;
    }
    batches = 0;
    look(latency, slowdown, rate, cap);
  }

  private void look(LatencyModel latency, Slowdown slowdown, double rate, int cap) {
    double now = time(chosen, latency, slowdown, rate, cap);
    int best = chosen;
    double least = now * BETTER;
    for (int c = runners; c >= 1; c--) {
      if (c == chosen) {
        continue;
      }
      double time = time(c, latency, slowdown, rate, cap);
      if (time < (c < best ? least / CLOSE : least * CLOSE) && time < now * BETTER) {
        best = c;
        least = time;
      }
    }
    if (best == chosen) {
      looks = 0;
      return;
    }
    looks = best == candidate ? looks + 1 : 1;
    candidate = best;
    if (looks >= LOOKS) {
      chosen = best;
      looks = 0;
    }
  }

  /** Expected time in the system of a row; beyond all such times if {@code c} does not keep up. */
  static double time(int c, LatencyModel latency, Slowdown slowdown, double rate, int cap) {
    double together = slowdown.of(c);
    double capacity = c * latency.peak(cap) / together;
    double load = rate / capacity;
    if (load >= HIGHEST_LOAD) {
      return 1e15 * together / (c * latency.peak(cap));
    }
    double rows = 1;
    for (int i = 0; i < ITERATIONS; i++) {
      double next = rate * together * latency.predict((int) Math.ceil(rows)) / c;
      if (next <= rows) {
        break;
      }
      rows = Math.min(cap, next);
    }
    double run = latency.predict((int) Math.ceil(rows));
    double busy = Math.min(1, rate * together * run / c / rows);
    double slow = slowdown.ofHalves(2 + (int) Math.round(2 * (c - 1) * busy));
    int low = Math.max(1, (int) (rows / 2));
    int high = Math.max(low + 1, (int) (2 * rows));
    double perRow = (latency.predict(high) - latency.predict(low)) / (high - low) * together / c;
    double filled = Math.min(0.98, rate * perRow);
    double queue = perRow * filled * filled / (2 * (1 - filled));
    return run * slow * (1 + busy / (2 * c)) + queue;
  }
}

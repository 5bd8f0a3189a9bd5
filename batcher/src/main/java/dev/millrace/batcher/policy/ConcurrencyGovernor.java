package dev.millrace.batcher.policy;

/** How many batches should run at once, found by trying one more or one less. Single-threaded. */
final class ConcurrencyGovernor {
  /*
   * Epochs of at least 40 batches and 20 single-row runs alternate between the present number and one
   * beside it. What is compared: rows per second while a queue stands, else Kleinrock's power, rows
   * per second over mean time in the system (Kleinrock 1979), whose maximum is the knee. One pair of
   * epochs is mostly noise: a trial is three pairs, all of which must agree and by 4 % on average, and
   * ends early at a pair that is clearly worse.
   * After a failed trial the next one comes after twice as many epochs, up to 64.
   *
   * More is tried only while runners never wait for work (else the limit is not what limits; TCP's and
   * Netflix's limiters have the same guard), fewer only while runs overlap. It starts at the number
   * that the measurement at load has chosen: learning it from 1 under overload builds a backlog that
   * takes long to drain.
   */

  private static final int BATCHES = 40;
  private static final double RUNS = 20;
  private static final int PAIRS = 3;
  private static final double MARGIN = 0.04;
  private static final double CLEARLY_WORSE = -0.1;
  private static final int LONGEST_PAUSE = 64;
  private static final double SATURATED = 0.7;
  private static final double OVERLAP = 1.2;

  private final int runners;
  private int limit;
  private int chosen;
  private int trial;
  private int direction = -1;
  private int pause = 1;
  private int paused;
  private int pair;
  private double sum;
  private double reference;
  private boolean trying;

  private int skip;
  private int batches;
  private double rows;
  private double sojourn;
  private double concurrent;
  private int saturatedBatches;
  private long start;
  private boolean started;

  ConcurrencyGovernor(int runners) {
    this.runners = runners;
    limit = runners;
    chosen = runners;
  }

  /** The most batches that may run at once now; 1 to the number of runners. */
  int limit() {
    return limit;
  }

  /**
   * A batch has ended.
   *
   * @param sojournNanos mean time from acceptance to now of its rows
   * @param running batches meanwhile, itself among them
   * @param waiting whether its runner found work at once when it began
   */
  void completed(
      int batchRows,
      double sojournNanos,
      double running,
      boolean waiting,
      boolean standing,
      double singleNanos,
      long nowNanos) {
    if (runners == 1) {
      return;
    }
    if (skip > 0) {
      skip--;
      return;
    }
    if (!started) {
      started = true;
      start = nowNanos;
      return;
    }
    batches++;
    rows += batchRows;
    sojourn += batchRows * sojournNanos;
    concurrent += running;
    saturatedBatches += waiting ? 1 : 0;
    double elapsed = nowNanos - start;
    if (batches < BATCHES || elapsed < RUNS * singleNanos) {
      return;
    }
    double rate = rows / elapsed;
    double score = standing ? rate : rate / Math.max(1, sojourn / rows);
    boolean saturated = saturatedBatches > SATURATED * batches;
    boolean overlapping = concurrent > OVERLAP * batches;
    endEpoch(score, saturated, overlapping);
    started = false;
    batches = 0;
    rows = 0;
    sojourn = 0;
    concurrent = 0;
    saturatedBatches = 0;
  }

  private void endEpoch(double score, boolean saturated, boolean overlapping) {
    if (!trying) {
      if (++paused < pause) {
        return;
      }
      if (chosen + direction < 1 || chosen + direction > runners) {
        direction = -direction;
      }
      if (direction > 0 ? !saturated : !overlapping) {
        if (chosen - direction >= 1 && chosen - direction <= runners) {
          direction = -direction;
        }
        return;
      }
      trying = true;
      trial = chosen + direction;
      pair = 0;
      sum = 0;
      reference = score;
      use(trial);
      return;
    }
    if (limit == chosen) {
      reference = score;
      use(trial);
      return;
    }
    double gain = Math.log(score / reference);
    sum += gain;
    pair++;
    if (gain < CLEARLY_WORSE || (pair == PAIRS && sum < MARGIN * PAIRS) || gain < 0) {
      trying = false;
      direction = -direction;
      pause = Math.min(LONGEST_PAUSE, 2 * pause);
      paused = 0;
      use(chosen);
    } else if (pair == PAIRS) {
      trying = false;
      chosen = trial;
      pause = 1;
      paused = 0;
    } else {
      use(chosen);
    }
  }

  private void use(int number) {
    skip = Math.max(limit, number);
    limit = number;
  }
}

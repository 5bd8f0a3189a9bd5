package dev.millrace.batcher;

import java.time.Duration;

/**
 * How much time may go into running failed batches again in halves: a twentieth of the time that
 * runs take. When more goes, requests are not merged for a while: run alone, each fails for itself
 * and none is run twice. Guarded by the batcher's lock.
 */
final class RetryBudget {
  private static final double SHARE = 0.05;
  private static final double MOST_SAVED_NANOS = Duration.ofMillis(500).toNanos();
  private static final long PAUSE_NANOS = Duration.ofSeconds(1).toNanos();

  private double savedNanos = MOST_SAVED_NANOS;
  private long pausedUntil;
  private boolean paused;

  /**
   * A batch kept its runner busy.
   *
   * @param retryNanos how much of the time went into running parts of it again
   */
  void spent(long busyNanos, long retryNanos, long nowNanos) {
    savedNanos = Math.min(MOST_SAVED_NANOS, savedNanos + SHARE * busyNanos) - retryNanos;
    if (savedNanos < 0) {
      savedNanos = 0;
      paused = true;
      pausedUntil = nowNanos + PAUSE_NANOS;
    }
  }

  /** Whether requests are to be run alone for now. */
  boolean isPausing(long nowNanos) {
    if (paused && nowNanos - pausedUntil >= 0) {
      paused = false;
    }
    return paused;
  }
}

package dev.millrace.batcher;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.ObjLongConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds runs that do not come back: that take ten times as long as the longest that did, and ten
 * seconds at least. Guarded by the batcher's lock.
 *
 * <p>A thread in native code cannot be ended. So its runner is lost, and another one with an
 * instance of its own takes its place. If the run comes back after all, its requests are answered
 * and the runner ends; the measure is then longer. There are never more lost runners than there
 * were runners at first, so a model whose runs just take long does not fill the machine.
 */
final class HungRuns {
  /** A shorter run is never taken for hung. */
  static final long LEAST_NANOS = Duration.ofSeconds(10).toNanos();

  private static final Logger log = LoggerFactory.getLogger(HungRuns.class);
  private static final int TIMES_LONGEST = 10;

  private final String model;
  private final Consumer<BatchRunner> onLost;
  private long longestNanos;
  private int mostLost;
  private final AtomicInteger count = new AtomicInteger();

  /**
   * @param onLost provides another runner in place of one
   */
  HungRuns(String model, Consumer<BatchRunner> onLost) {
    this.model = model;
    this.onLost = onLost;
  }

  /** Runs that hang now. */
  int count() {
    return count.get();
  }

  /** A run has come back. */
  void ended(BatchRunner runner, long nanos) {
    longestNanos = Math.max(longestNanos, nanos);
    if (runner.isLost()) {
      count.decrementAndGet();
      log.warn(
          "a run of model '{}' came back after {} s; it had been given up", model, seconds(nanos));
    }
  }

  /**
   * Looks at what the runners run now.
   *
   * @param lose is told of each that is found, and of how long it has been running
   */
  void look(List<BatchRunner> runners, long nowNanos, ObjLongConsumer<BatchRunner> lose) {
    if (mostLost == 0) {
      mostLost = runners.size();
    }
    long limit = Math.max(LEAST_NANOS, TIMES_LONGEST * longestNanos);
    for (BatchRunner runner : runners) {
      long nanos = nowNanos - runner.startedNanos;
      if (!runner.parts.isEmpty() && !runner.isLost() && nanos > limit && count.get() < mostLost) {
        lose.accept(runner, nanos);
        count.incrementAndGet();
        log.error(
            "a run of model '{}' has not come back for {} s: another instance takes its place",
            model,
            seconds(nanos));
        onLost.accept(runner);
      }
    }
  }

  private static long seconds(long nanos) {
    return Duration.ofNanos(nanos).toSeconds();
  }
}

package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Phaser;

/**
 * Times runs of a loaded model on made-up inputs, on threads like those that will serve it.
 *
 * <p>A time is the least of a few rounds, because what disturbs a run only ever makes it longer. In
 * a round every instance that takes part runs as often as the others without a pause, and the time
 * of one run is that of the round by their number: what one run costs while the others go on.
 */
final class ModelBench implements PlacementSearch.Bench {
  private static final long ROUND_NANOS = 4_000_000;
  private static final long MEASUREMENT_NANOS = 20_000_000;
  private static final int MAX_RUNS = 100;
  private static final int MAX_ROUNDS = 3;
  private static final long MAX_INPUT_BYTES = 64 << 20;

  private final List<Predictor> predictors;
  private final SyntheticInputs inputs;
  private final Ticker ticker;
  private final ExecutorService threads;

  /** A bench over predictors that stay the caller's; not used by others meanwhile. */
  ModelBench(List<Predictor> predictors, SyntheticInputs inputs, Ticker ticker) {
    this.predictors = predictors;
    this.inputs = inputs;
    this.ticker = ticker;
    this.threads =
        Executors.newFixedThreadPool(
            predictors.size(), Thread.ofPlatform().name("calibration-", 1).daemon().factory());
  }

  @Override
  public boolean takes(int rows) {
    return inputs.byteSize(rows) <= MAX_INPUT_BYTES;
  }

  @Override
  public long runNanos(int concurrent, int rows, long untilNanos) {
    try (TensorMap made = inputs.firstRows(rows)) {
      long start = ticker.nanos();
      long least = round(made, concurrent, 1);
      int runs = Math.clamp(ROUND_NANOS / least, 1, MAX_RUNS);
      for (int i = 0; i < MAX_ROUNDS; i++) {
        long now = ticker.nanos();
        boolean enough = i > 0 && now - start > MEASUREMENT_NANOS;
        if (enough || now + runs * least - untilNanos > 0) {
          break;
        }
        least = Math.min(least, round(made, concurrent, runs));
      }
      return least;
    }
  }

  /** Nanoseconds of one run. */
  private long round(TensorMap made, int concurrent, int runs) {
    long[] starts = new long[concurrent];
    long[] ends = new long[concurrent];
    Phaser together = new Phaser(concurrent);
    CompletableFuture<?>[] tasks = new CompletableFuture<?>[concurrent];
    for (int i = 0; i < concurrent; i++) {
      int instance = i;
      tasks[i] =
          CompletableFuture.runAsync(
              () -> {
                together.arriveAndAwaitAdvance();
                starts[instance] = ticker.nanos();
                for (int run = 0; run < runs; run++) {
                  predictors.get(instance).predict(made, List.of()).close();
                }
                ends[instance] = ticker.nanos();
              },
              threads);
    }
    try {
      // Not interruptible: the predictors may be closed only when nothing runs any more.
      CompletableFuture.allOf(tasks).join();
    } catch (CompletionException e) {
      throw InferenceException.of(e);
    }
    long first = starts[0];
    long last = ends[0];
    for (int i = 1; i < concurrent; i++) {
      first = starts[i] - first < 0 ? starts[i] : first;
      last = ends[i] - last > 0 ? ends[i] : last;
    }
    return Math.max(1, (last - first) / runs);
  }

  /** Ends the threads; the predictors are left alone. */
  @Override
  public void close() {
    threads.close();
  }
}

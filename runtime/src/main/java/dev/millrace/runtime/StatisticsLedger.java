package dev.millrace.runtime;

import dev.millrace.api.ModelId;
import dev.millrace.batcher.BatchTimes;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.LongAdder;

/**
 * Where the {@link ModelStatistics} of one version are kept. Costs a request two additions that do
 * not contend, and a run one short stay in a monitor. Thread-safe.
 */
final class StatisticsLedger {
  private final LongAdder successes = new LongAdder();
  private final LongAdder successNanos = new LongAdder();
  private final LongAdder failures = new LongAdder();
  private final LongAdder failureNanos = new LongAdder();

  // Guarded by this.
  private final Map<Integer, Sums> bySize = new TreeMap<>();
  private final Sums ofRequests = new Sums();
  private long lastInferenceMillis;
  private long rows;
  private long runs;
  private long queueNanos;

  /** Counts and durations of the steps of runs. */
  private static final class Sums {
    private long count;
    private long mergeNanos;
    private long computeNanos;
    private long splitNanos;

    void add(int counted, int weight, BatchTimes times) {
      count += counted;
      mergeNanos += weight * times.mergeNanos();
      computeNanos += weight * times.computeNanos();
      splitNanos += weight * times.splitNanos();
    }

    CountedTime input() {
      return new CountedTime(count, mergeNanos);
    }

    CountedTime infer() {
      return new CountedTime(count, computeNanos);
    }

    CountedTime output() {
      return new CountedTime(count, splitNanos);
    }
  }

  /** A request was answered. */
  void answered(boolean success, long nanos) {
    (success ? successNanos : failureNanos).add(nanos);
    (success ? successes : failures).increment();
  }

  /** A run has outputs. */
  void finished(BatchTimes times) {
    long now = System.currentTimeMillis();
    synchronized (this) {
      lastInferenceMillis = Math.max(lastInferenceMillis, now);
      rows += times.rows();
      runs++;
      queueNanos += times.queueNanos();
      ofRequests.add(times.requests(), times.parts(), times);
      bySize.computeIfAbsent(times.rows(), size -> new Sums()).add(1, 1, times);
    }
  }

  /** How it stands now. */
  ModelStatistics snapshot(ModelId id) {
    CountedTime success = new CountedTime(successes.sum(), successNanos.sum());
    CountedTime failure = new CountedTime(failures.sum(), failureNanos.sum());
    synchronized (this) {
      List<ModelStatistics.OfBatches> batches = new ArrayList<>(bySize.size());
      bySize.forEach((size, sums) ->
          batches.add(
              new ModelStatistics.OfBatches(size, sums.input(), sums.infer(), sums.output())));
      return new ModelStatistics(
          id,
          lastInferenceMillis,
          rows,
          runs,
          success,
          failure,
          new CountedTime(ofRequests.count, queueNanos),
          ofRequests.input(),
          ofRequests.infer(),
          ofRequests.output(),
          batches);
    }
  }
}

package dev.millrace.benchmarks;

import dev.millrace.batcher.policy.AdaptiveConfig;
import dev.millrace.batcher.policy.AdaptivePolicy;
import dev.millrace.batcher.policy.BatchPolicy.Decision;
import dev.millrace.batcher.policy.BatchPolicy.Trigger;
import dev.millrace.batcher.policy.LatencySample;
import dev.millrace.batcher.policy.QueueView;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * One decision of the adaptive policy, which comes once a batch, with one runner and a model that
 * takes 2 ms and 0.1 ms a row. The requests that wait are up to 30 ms old. With a deadline of 50 ms
 * all of them can be in time, which is found out early; with one of 33 ms every size of the next
 * batch that might be best has to be looked at.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class PolicyDecisionBenchmark {
  private static final int MAX_BATCH = 64;
  private static final int ROW_ELEMENTS = 16;
  private static final long OLDEST = 30_000_000;
  private static final long STEP = 1_000;

  /** Requests that wait, of one row each. */
  @Param({"1", "16", "64", "256"})
  public int waiting = 1;

  /** Milliseconds after which each of them is late; 0 for never. */
  @Param({"0", "50", "33"})
  public int deadline;

  private AdaptivePolicy policy = new AdaptivePolicy(AdaptiveConfig.of(MAX_BATCH, 1), List.of());
  private FullQueue queue = new FullQueue(1, 0);
  private long now;

  /** Teaches the policy what the model takes, by calibration and by some batches. */
  @Setup
  public void setUp() {
    List<LatencySample> samples = new ArrayList<>();
    for (int rows = 1; rows <= MAX_BATCH; rows *= 2) {
      for (int i = 0; i < 3; i++) {
        samples.add(new LatencySample(ROW_ELEMENTS, rows, nanos(rows)));
      }
    }
    policy = new AdaptivePolicy(AdaptiveConfig.of(MAX_BATCH, 1), samples);
    policy.shape(0, ROW_ELEMENTS);
    queue = new FullQueue(waiting, deadline * 1_000_000L);
    now = 1_000_000_000;
    for (int batch = 0; batch < 200; batch++) {
      int rows = Math.min(waiting, MAX_BATCH);
      for (int i = 0; i < rows; i++) {
        policy.arrived(0, 1, now + i * nanos(rows) / rows);
      }
      policy.started(0, rows, now);
      now += nanos(rows);
      policy.completed(0, rows, now - nanos(rows), nanos(rows), now);
    }
  }

  private static long nanos(int rows) {
    return 2_000_000 + 100_000L * rows;
  }

  /** Decides, a little later each time. */
  @Benchmark
  public Decision decide() {
    now += STEP;
    queue.now = now;
    return policy.decide(queue, Trigger.COMPLETION, now);
  }

  /** Requests of one row, of evenly spread age. */
  private static final class FullQueue implements QueueView {
    private final int requests;
    private final long[] ages;
    private final long deadlineNanos;
    private long now;

    FullQueue(int requests, long deadlineNanos) {
      this.requests = requests;
      ages = new long[requests];
      for (int i = 0; i < requests; i++) {
        ages[i] = OLDEST - OLDEST * i / requests;
      }
      this.deadlineNanos = deadlineNanos;
    }

    @Override
    public int shape() {
      return 0;
    }

    @Override
    public int rows() {
      return requests;
    }

    @Override
    public int requests() {
      return requests;
    }

    @Override
    public boolean hasDeadlines() {
      return deadlineNanos > 0;
    }

    @Override
    public boolean ordered() {
      return true;
    }

    @Override
    public int priority(int i) {
      return 0;
    }

    @Override
    public int rows(int i) {
      return 1;
    }

    @Override
    public long deadlineNanos(int i) {
      return deadlineNanos == 0 ? Long.MAX_VALUE : acceptedNanos(i) + deadlineNanos;
    }

    @Override
    public long acceptedNanos(int i) {
      return now - ages[i];
    }

    @Override
    public int totalRows() {
      return requests;
    }

    @Override
    public int maxBatchSize() {
      return MAX_BATCH;
    }

    @Override
    public int idleRunners() {
      return 0;
    }

    @Override
    public int busyRunners() {
      return 0;
    }
  }
}

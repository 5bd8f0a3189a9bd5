package dev.millrace.benchmarks;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.Deadline;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import dev.millrace.batcher.BatchListener;
import dev.millrace.batcher.Batcher;
import dev.millrace.batcher.BatcherConfig;
import dev.millrace.batcher.Reply;
import dev.millrace.batcher.policy.GreedyPolicy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The batcher around a model that costs next to nothing: requests of one row are submitted and
 * their replies awaited. What is counted is one request, its tensors included.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class BatcherBenchmark {
  private static final int BURST = 64;

  /** Predictors, each with a runner. */
  @Param({"1", "2"})
  public int runners;

  private @Nullable Batcher batcher;

  /** Starts the runners. */
  @Setup
  public void setUp() {
    List<Predictor> predictors = new ArrayList<>();
    for (int i = 0; i < runners; i++) {
      predictors.add(new EchoModel.EchoPredictor());
    }
    batcher =
        Batcher.start(
            "echo",
            new BatcherConfig(64, 4096, 1 << 30),
            predictors,
            new GreedyPolicy(),
            BatchListener.none(),
            Ticker.system());
  }

  /** Stops them. */
  @TearDown
  public void tearDown() {
    requireNonNull(batcher).close();
  }

  /** One request at a time: two hand-offs between threads, there and back. */
  @Benchmark
  public void lone() {
    submit().join().close();
  }

  /** 64 requests at once, as from 64 connections: hand-offs are shared by a batch. */
  @Benchmark
  @OperationsPerInvocation(BURST)
  public void burst() {
    Reply[] replies = new Reply[BURST];
    for (int i = 0; i < BURST; i++) {
      replies[i] = submit();
    }
    for (Reply reply : replies) {
      reply.join().close();
    }
  }

  private Reply submit() {
    TensorMap row = EchoModel.row();
    return requireNonNull(batcher).submit(row, List.of(), Deadline.none());
  }
}

package dev.millrace.benchmarks;

import static java.util.Objects.requireNonNull;

import com.sun.management.ThreadMXBean;
import dev.millrace.api.Deadline;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import dev.millrace.batcher.BatchListener;
import dev.millrace.batcher.Batcher;
import dev.millrace.batcher.BatcherConfig;
import dev.millrace.batcher.Reply;
import dev.millrace.batcher.policy.AdaptiveConfig;
import dev.millrace.batcher.policy.AdaptivePolicy;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
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
 * What the submitting thread, an event loop, pays for a request: {@link Batcher#submit} alone,
 * while the only runner is busy. The inputs are made before, and what was queued is run after,
 * outside of what is timed. {@code bytesPerSubmit} is what the thread allocates in it: the request
 * and its reply.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class SubmitBenchmark {
  private static final int REQUESTS = 1024;

  /** Whether requests have a deadline, far away. */
  @Param({"false", "true"})
  public boolean deadlines;

  private final HeldPredictor predictor = new HeldPredictor();
  private final TensorMap[] inputs = new TensorMap[REQUESTS];
  private final Reply[] replies = new Reply[REQUESTS];
  private @Nullable Batcher batcher;
  private Deadline deadline = Deadline.none();

  /** Counts what the thread allocates. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.EVENTS)
  public static class Allocation {
    private static final ThreadMXBean THREADS =
        ManagementFactory.getPlatformMXBean(ThreadMXBean.class);

    private long bytes;
    private long submits;

    /** Bytes of heap for one request. */
    public long bytesPerSubmit() {
      return submits == 0 ? 0 : bytes / submits;
    }

    private static long allocated() {
      return THREADS.getCurrentThreadAllocatedBytes();
    }
  }

  /** Starts the runner. */
  @Setup
  public void setUp() {
    batcher =
        Batcher.start(
            "echo",
            new BatcherConfig(64, 2 * REQUESTS, 1 << 30),
            List.of(predictor),
            new AdaptivePolicy(AdaptiveConfig.of(64, 1), List.of()),
            BatchListener.none(),
            Ticker.system());
  }

  /** Stops it. */
  @TearDown
  public void tearDown() {
    requireNonNull(batcher).close();
  }

  /** Makes inputs, and keeps the runner busy with a request of its own. */
  @Setup(Level.Invocation)
  public void keepBusy() throws InterruptedException {
    for (int i = 0; i < REQUESTS; i++) {
      inputs[i] = EchoModel.row();
    }
    deadline = deadlines ? Deadline.after(Duration.ofHours(1), Ticker.system()) : Deadline.none();
    predictor.hold();
    var _ = requireNonNull(batcher).submit(EchoModel.row(), List.of(), Deadline.none());
    predictor.awaitRun();
  }

  /** Submits. */
  @Benchmark
  @OperationsPerInvocation(REQUESTS)
  public void submit(Allocation allocation) {
    Batcher target = requireNonNull(batcher);
    long before = Allocation.allocated();
    for (int i = 0; i < REQUESTS; i++) {
      replies[i] = target.submit(inputs[i], List.of(), deadline);
    }
    allocation.bytes += Allocation.allocated() - before;
    allocation.submits += REQUESTS;
  }

  /** Runs what was queued. */
  @TearDown(Level.Invocation)
  public void drain() {
    predictor.release();
    for (Reply reply : replies) {
      reply.join().close();
    }
  }

  /** Copies like {@link EchoModel}, but only when it may. */
  private static final class HeldPredictor implements Predictor {
    private final Predictor echo = new EchoModel.EchoPredictor();
    private final Semaphore running = new Semaphore(0);
    private final Semaphore released = new Semaphore(0);
    private volatile boolean held;

    void hold() {
      held = true;
    }

    void awaitRun() throws InterruptedException {
      running.acquire();
    }

    void release() {
      held = false;
      released.release();
    }

    @Override
    public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
      if (held) {
        running.release();
        released.acquireUninterruptibly();
      }
      return echo.predict(inputs, requestedOutputs);
    }

    @Override
    public void close() {
      echo.close();
    }
  }
}

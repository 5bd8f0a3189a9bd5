package dev.millrace.benchmarks;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.runtime.LoadListener;
import dev.millrace.runtime.ModelPath;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.RuntimeConfig;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The whole protocol-free server around a model that costs next to nothing: look-up, admission,
 * validation, pipeline, batcher and metrics. The difference to {@link BatcherBenchmark} is what
 * stands around the batcher.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class PipelineBenchmark {
  private static final int BURST = 64;

  private @Nullable Path directory;
  private @Nullable ModelServer server;

  /** Loads the model. */
  @Setup
  public void setUp() throws IOException {
    directory = Files.createTempDirectory("benchmark");
    Path file = Files.createFile(directory.resolve("model.echo"));
    server =
        ModelServer.create(
            RuntimeConfig.of(List.of(ModelPath.of(file, "echo"))),
            List.of(new EchoModel.EchoBackend()),
            new PrometheusMeterRegistry(PrometheusConfig.DEFAULT));
    server.models().loadAll(LoadListener.NONE);
  }

  /** Unloads it. */
  @TearDown
  public void tearDown() throws IOException {
    requireNonNull(server).close();
    Path temporary = requireNonNull(directory);
    Files.delete(temporary.resolve("model.echo"));
    Files.delete(temporary);
  }

  /** One request at a time. */
  @Benchmark
  public void lone() {
    infer().join().close();
  }

  /** 64 requests at once. */
  @Benchmark
  @OperationsPerInvocation(BURST)
  public void burst() {
    List<CompletableFuture<InferenceResponse>> responses = new ArrayList<>(BURST);
    for (int i = 0; i < BURST; i++) {
      responses.add(infer());
    }
    responses.forEach(response -> response.join().close());
  }

  private CompletableFuture<InferenceResponse> infer() {
    return requireNonNull(server).infer(InferenceRequest.of("echo", EchoModel.row()));
  }
}

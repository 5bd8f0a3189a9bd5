package dev.millrace.benchmarks;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.Ticker;
import dev.millrace.runtime.FrontEnd;
import dev.millrace.runtime.LoadListener;
import dev.millrace.runtime.ModelPath;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.Plugins;
import dev.millrace.runtime.RuntimeConfig;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
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
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * One request at a time through the server of {@link PipelineBenchmark}, with steps around its
 * model: what is more than with {@code none} is what they cost in the process, where elsewhere a
 * transformer is another process and a hop.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class TransformerBenchmark {
  /** The list of {@code transformers}. */
  @Param({
    "[]",
    "[{rename: {outputs: {OUTPUT0: scores}}}]",
    "[{scale: {input: INPUT0, divide: 2}}]",
    "[{scale: {input: INPUT0, divide: 2}}, {scale: {input: INPUT0, divide: 2}}]",
    "[{softmax: {output: OUTPUT0}}]"
  })
  public String steps = "[]";

  private @Nullable Path directory;
  private @Nullable ModelServer server;

  /** Loads the model. */
  @Setup
  public void setUp() throws IOException {
    directory = Files.createTempDirectory("benchmark");
    Path file = Files.createFile(directory.resolve("model.echo"));
    Files.writeString(directory.resolve("model.yaml"), "transformers: " + steps);
    server =
        ModelServer.create(
            RuntimeConfig.of(List.of(ModelPath.of(file, "echo"))),
            new Plugins(List.of(new EchoModel.EchoBackend()), Plugins.onClassPath().transformers()),
            List.of(),
            List.of(),
            new PrometheusMeterRegistry(PrometheusConfig.DEFAULT),
            Ticker.system(),
            FrontEnd.NONE);
    server.models().loadAll(LoadListener.NONE);
  }

  /** Unloads it. */
  @TearDown
  public void tearDown() throws IOException {
    requireNonNull(server).close();
    Path temporary = requireNonNull(directory);
    Files.delete(temporary.resolve("model.yaml"));
    Files.delete(temporary.resolve("model.echo"));
    Files.delete(temporary);
  }

  /** One request. */
  @Benchmark
  public void lone() {
    requireNonNull(server).infer(InferenceRequest.of("echo", EchoModel.row())).join().close();
  }
}

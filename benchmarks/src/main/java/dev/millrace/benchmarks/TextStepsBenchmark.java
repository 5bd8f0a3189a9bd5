package dev.millrace.benchmarks;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerFactory;
import dev.millrace.api.spi.TransformerSource;
import dev.millrace.runtime.Plugins;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** The steps of {@code examples/minilm}: what they take of a request of one sentence. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class TextStepsBenchmark {
  private static final String SENTENCE =
      "The river drives the water wheel, and the wheel turns the stones that grind the grain of"
          + " all the farms along the valley.";

  private static final int TOKENS = 32;
  private static final int WIDTH = 384;

  private @Nullable Path directory;
  private @Nullable Transformer tokenizer;
  private @Nullable Transformer pooling;

  /** Makes the steps. */
  @Setup
  public void setUp() throws IOException {
    directory = Files.createTempDirectory("benchmark");
    try (InputStream in =
        requireNonNull(
            TextStepsBenchmark.class.getResourceAsStream("/all-minilm-l6-v2-q-tokenizer.json"))) {
      Files.copy(in, directory.resolve("tokenizer.json"));
    }
    ModelMetadata model =
        new ModelMetadata(
            new ModelId("m", "1"),
            "benchmark",
            List.of(),
            List.of(new TensorSpec("last_hidden_state", DataType.FP32, Shape.of(-1, -1, WIDTH))),
            1,
            Map.of());
    tokenizer = step("tokenizer", directory);
    pooling = step("pooling", directory);
    pooling.describe(model);
  }

  private static Transformer step(String name, Path directory) {
    for (TransformerFactory factory : Plugins.onClassPath().transformers()) {
      if (factory.name().equals(name)) {
        return factory.create(
            new TransformerSource(
                new ModelId("m", "1"), List.of(directory), Settings.empty("benchmark")));
      }
    }
    throw new IllegalStateException("no step " + name);
  }

  /** Frees them. */
  @TearDown
  public void tearDown() throws IOException {
    requireNonNull(tokenizer).close();
    requireNonNull(pooling).close();
    Path temporary = requireNonNull(directory);
    Files.delete(temporary.resolve("tokenizer.json"));
    Files.delete(temporary);
  }

  /** A sentence of some thirty tokens. */
  @Benchmark
  public void tokenize() {
    requireNonNull(tokenizer)
        .preprocess(
            InferenceRequest.of("m", TensorMap.of("text", Tensor.copyOf(Shape.of(1), SENTENCE))))
        .close();
  }

  /** 32 vectors of 384 numbers into one. */
  @Benchmark
  public void pool() {
    Shape shape = Shape.of(1, TOKENS, WIDTH);
    InferenceRequest request = InferenceRequest.of("m", TensorMap.empty());
    requireNonNull(pooling)
        .postprocess(
            request,
            new InferenceResponse(
                "",
                new ModelId("m", "1"),
                TensorMap.of("last_hidden_state", Tensor.copyOf(shape, new float[TOKENS * WIDTH])),
                Parameters.empty()))
        .close();
  }
}

package dev.millrace.server;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Adds and subtracts two INT32[-1,16], in Java. Its model is a file {@code *.sum}, empty or with
 * one line: {@code slow 5ms} takes that long for a run, {@code load 2s} that long to load, and
 * {@code broken} does not load.
 */
final class SumBackend implements Backend {
  /** Rows computed by all models of this process. */
  static final AtomicLong ROWS = new AtomicLong();

  @Override
  public String name() {
    return "sum";
  }

  @Override
  public String modelFiles() {
    return "*.sum";
  }

  @Override
  public Optional<Path> findModel(Path path) {
    if (!Files.isDirectory(path)) {
      return Optional.of(path).filter(SumBackend::isModel);
    }
    try (var files = Files.list(path)) {
      return files.filter(SumBackend::isModel).findFirst();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isModel(Path path) {
    return path.toString().endsWith(".sum");
  }

  @Override
  public TensorModel load(ModelSource source) {
    source.settings().rejectUnknown();
    String behaviour;
    try {
      behaviour = Files.readString(source.path()).strip();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    int space = behaviour.indexOf(' ');
    String kind = space < 0 ? behaviour : behaviour.substring(0, space);
    long nanos =
        Settings.parseDuration(behaviour.substring(space + 1)).orElse(Duration.ZERO).toNanos();
    return switch (kind) {
      case "broken" ->
          throw new InferenceException(
              ErrorCode.FAILED_PRECONDITION, source.path() + ": it is broken");
      case "load" -> {
        pause(nanos);
        yield new SumModel(source, 0);
      }
      default -> new SumModel(source, nanos);
    };
  }

  private static void pause(long nanos) {
    try {
      TimeUnit.NANOSECONDS.sleep(nanos);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private record SumModel(ModelSource source, long nanosPerRun) implements TensorModel {
    @Override
    public ModelMetadata metadata() {
      Shape shape = Shape.of(Shape.ANY, 16);
      return new ModelMetadata(
          source.id(),
          "sum_java",
          List.of(
              new TensorSpec("INPUT0", DataType.INT32, shape),
              new TensorSpec("INPUT1", DataType.INT32, shape)),
          List.of(
              new TensorSpec("OUTPUT0", DataType.INT32, shape),
              new TensorSpec("OUTPUT1", DataType.INT32, shape)),
          8,
          Map.of());
    }

    @Override
    public Predictor newPredictor() {
      return new SumPredictor(nanosPerRun);
    }

    @Override
    public void close() {}
  }

  private record SumPredictor(long nanosPerRun) implements Predictor {
    @Override
    public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
      pause(nanosPerRun);
      ROWS.addAndGet(inputs.tensor(0).shape().dim(0));
      TensorMap.Builder outputs = TensorMap.builder();
      for (String name :
          requestedOutputs.isEmpty() ? List.of("OUTPUT0", "OUTPUT1") : requestedOutputs) {
        outputs.put(name, compute(inputs, name.equals("OUTPUT0") ? 1 : -1));
      }
      return outputs.build();
    }

    private static Tensor compute(TensorMap inputs, int sign) {
      int[] left = inputs.tensor(0).toInts();
      int[] right = inputs.tensor(1).toInts();
      int[] results = new int[left.length];
      for (int i = 0; i < results.length; i++) {
        results[i] = left[i] + sign * right[i];
      }
      return Tensor.copyOf(inputs.tensor(0).shape(), results);
    }

    @Override
    public void close() {}
  }
}

package dev.millrace.runtime;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.DataType;
import dev.millrace.api.Device;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;

/** A backend of one model X FP32[-1,width] -> Y FP32 whose rows a test computes. */
final class ScriptedModel implements Backend {
  static final int WIDTH = 4;

  /** Runs at the same time in one loaded model. */
  @FunctionalInterface
  interface Cost {
    /** Takes as long as a run of so many rows in so many threads does. */
    void spend(int rows, int threads);
  }

  final List<Integer> loadedThreads = new ArrayList<>();
  final AtomicInteger open = new AtomicInteger();
  final AtomicInteger mostOpen = new AtomicInteger();
  final AtomicInteger openPredictors = new AtomicInteger();
  volatile Cost cost = (rows, threads) -> {};
  volatile UnaryOperator<float[][]> compute = rows -> rows;
  volatile int maxBatchSize = 64;
  volatile Runnable onLoad = () -> {};

  @Override
  public String name() {
    return "scripted";
  }

  @Override
  public String modelFiles() {
    return "*.scripted";
  }

  @Override
  public Optional<Path> findModel(Path path) {
    return Optional.of(path);
  }

  @Override
  public List<Device> devices() {
    return List.of(Device.CPU);
  }

  @Override
  public TensorModel load(ModelSource source) {
    loadedThreads.add(source.threads());
    onLoad.run();
    mostOpen.accumulateAndGet(open.incrementAndGet(), Math::max);
    ModelMetadata metadata =
        new ModelMetadata(
            source.id(),
            "scripted",
            List.of(new TensorSpec("X", DataType.FP32, Shape.of(-1, WIDTH))),
            List.of(new TensorSpec("Y", DataType.FP32, Shape.of(-1, -1))),
            maxBatchSize,
            Map.of());
    return new TensorModel() {
      @Override
      public ModelMetadata metadata() {
        return metadata;
      }

      @Override
      public Predictor newPredictor() {
        openPredictors.incrementAndGet();
        return predictor(source.threads());
      }

      @Override
      public void close() {
        open.decrementAndGet();
      }
    };
  }

  private Predictor predictor(int threads) {
    return new Predictor() {
      @Override
      public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
        Tensor x = requireNonNull(inputs.get("X"));
        float[] values = x.toFloats();
        float[][] rows = new float[(int) x.shape().dim(0)][WIDTH];
        for (int i = 0; i < rows.length; i++) {
          System.arraycopy(values, i * WIDTH, rows[i], 0, WIDTH);
        }
        cost.spend(rows.length, threads);
        return outputs(compute.apply(rows));
      }

      @Override
      public void close() {
        openPredictors.decrementAndGet();
      }
    };
  }

  private static TensorMap outputs(float[][] rows) {
    int width = rows.length == 0 ? 0 : rows[0].length;
    float[] values = new float[rows.length * width];
    for (int i = 0; i < rows.length; i++) {
      System.arraycopy(rows[i], 0, values, i * width, width);
    }
    return TensorMap.of("Y", Tensor.copyOf(Shape.of(rows.length, width), values));
  }
}

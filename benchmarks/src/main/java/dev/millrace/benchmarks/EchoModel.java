package dev.millrace.benchmarks;

import dev.millrace.api.DataType;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.Servable;
import dev.millrace.api.spi.TensorModel;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A model that costs next to nothing: INPUT0 FP32[-1,16] -> OUTPUT0, a copy. */
final class EchoModel implements TensorModel {
  static final int WIDTH = 16;

  private static final Shape ANY_ROWS = Shape.of(Shape.ANY, WIDTH);

  private final ModelId id;

  private EchoModel(ModelId id) {
    this.id = id;
  }

  /** One row. */
  static TensorMap row() {
    return TensorMap.of("INPUT0", Tensor.copyOf(Shape.of(1, WIDTH), new float[WIDTH]));
  }

  @Override
  public ModelMetadata metadata() {
    return new ModelMetadata(
        id,
        "echo",
        List.of(new TensorSpec("INPUT0", DataType.FP32, ANY_ROWS)),
        List.of(new TensorSpec("OUTPUT0", DataType.FP32, ANY_ROWS)),
        64,
        Map.of());
  }

  @Override
  public Predictor newPredictor() {
    return new EchoPredictor();
  }

  @Override
  public void close() {}

  /** An instance of the model. */
  static final class EchoPredictor implements Predictor {
    @Override
    public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
      Tensor input = inputs.tensor(0);
      return TensorMap.of("OUTPUT0", Tensor.copyOf(input.dataType(), input.shape(), input.data()));
    }

    @Override
    public void close() {}
  }

  /** Loads the model from any file named {@code model.echo}. */
  static final class EchoBackend implements Backend {
    @Override
    public String name() {
      return "echo";
    }

    @Override
    public String modelFiles() {
      return "model.echo";
    }

    @Override
    public Optional<Path> findModel(Path path) {
      Path file = path.endsWith("model.echo") ? path : path.resolve("model.echo");
      return file.toFile().isFile() ? Optional.of(file) : Optional.empty();
    }

    @Override
    public Servable load(ModelSource source) {
      return new EchoModel(source.id());
    }
  }
}

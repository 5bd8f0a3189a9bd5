package dev.millrace.backend.onnx;

import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** A model on disk, loaded by the backend, with one predictor. */
final class OnnxFixture implements AutoCloseable {
  final TensorModel model;
  final Predictor predictor;

  private OnnxFixture(TensorModel model) {
    this.model = model;
    this.predictor = model.newPredictor();
  }

  static OnnxFixture of(Path directory, byte[] bytes) {
    return new OnnxFixture(load(write(directory, bytes), Map.of()));
  }

  static Path write(Path directory, byte[] bytes) {
    try {
      return Files.write(directory.resolve("model.onnx"), bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static TensorModel load(Path file, Map<String, Object> settings) {
    ModelSource source =
        new ModelSource(
            new ModelId("model", "1"), file, Device.CPU, 1, 1, Settings.of("model.yaml", settings));
    return (TensorModel) new OnnxBackend().load(source);
  }

  /** Runs the model for outputs, all if none are named; closes the inputs. */
  TensorMap predict(TensorMap inputs, String... outputs) {
    try (inputs) {
      return predictor.predict(inputs, List.of(outputs));
    }
  }

  @Override
  public void close() {
    predictor.close();
    model.close();
  }
}

package dev.millrace.backend.tensorflow;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** A model on disk, loaded by the backend, with one predictor. */
final class TensorFlowFixture implements AutoCloseable {
  final TensorModel model;
  final Predictor predictor;

  private TensorFlowFixture(TensorModel model) {
    this.model = model;
    this.predictor = model.newPredictor();
  }

  static TensorFlowFixture of(Path directory, SavedModelWriter writer) {
    return of(writer.write(directory));
  }

  static TensorFlowFixture of(Path directory) {
    return new TensorFlowFixture(load(directory, Map.of()));
  }

  static TensorModel load(Path directory, Map<String, Object> settings) {
    return load(directory, 1, 1, settings);
  }

  static TensorModel load(
      Path directory, int instances, int threads, Map<String, Object> settings) {
    ModelSource source =
        new ModelSource(
            new ModelId("model", "1"),
            directory,
            Device.CPU,
            instances,
            threads,
            Settings.of("model.yaml", settings));
    return (TensorModel) new TensorFlowBackend().load(source);
  }

  /** The model called by that signature. */
  static TensorModel signature(TensorModel model, String name) {
    return requireNonNull(model.signatures().get(name), name);
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

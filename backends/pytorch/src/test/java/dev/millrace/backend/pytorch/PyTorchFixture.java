package dev.millrace.backend.pytorch;

import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A model of the test resources, which make_models.py wrote, with one predictor. */
final class PyTorchFixture implements AutoCloseable {
  final TensorModel model;
  final Predictor predictor;

  private PyTorchFixture(TensorModel model) {
    this.model = model;
    this.predictor = model.newPredictor();
  }

  static PyTorchFixture of(String name) {
    return of(name, Map.of());
  }

  static PyTorchFixture of(String name, Map<String, Object> settings) {
    return new PyTorchFixture(load(file(name + ".pt"), settings));
  }

  static Path file(String name) {
    URL resource = PyTorchFixture.class.getResource("/models/" + name);
    try {
      return Path.of(Objects.requireNonNull(resource, name).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  static TensorModel load(Path file, Map<String, Object> settings) {
    return load(file, settings, Device.CPU);
  }

  static TensorModel load(Path file, Map<String, Object> settings, Device device) {
    ModelSource source =
        new ModelSource(
            new ModelId("model", "1"), file, device, 1, 1, Settings.of("model.yaml", settings));
    return (TensorModel) new PyTorchBackend().load(source);
  }

  /** Declares a tensor in a configuration. */
  static Map<String, Object> spec(String name, String dataType, Integer... shape) {
    return Map.of("name", name, "datatype", dataType, "shape", List.of(shape));
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

package dev.millrace.backend.python;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;

/** A script on disk, loaded by the backend, with one predictor. */
final class PythonFixture implements AutoCloseable {
  final TensorModel model;
  final Predictor predictor;

  private PythonFixture(TensorModel model) {
    this.model = model;
    this.predictor = model.newPredictor();
  }

  /** Stops a test where there is no Python 3, and says so. */
  static void requirePython() {
    requireModule("sys", "no python3 is on the PATH");
  }

  /** Stops a test where Python has no NumPy, and says so. */
  static void requireNumpy() {
    requirePython();
    requireModule("numpy", "the python3 on the PATH has no NumPy: pip install numpy");
  }

  /** Stops a test where Python lacks a module, and says why. */
  static void requireModule(String module, String reason) {
    boolean present;
    try {
      Process process =
          new ProcessBuilder("python3", "-c", "import " + module).redirectErrorStream(true).start();
      process.getInputStream().readAllBytes();
      present = process.waitFor(1, TimeUnit.MINUTES) && process.exitValue() == 0;
    } catch (IOException e) {
      present = false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      present = false;
    }
    if (!present) {
      System.err.println("not run: " + reason);
    }
    Assumptions.assumeTrue(present, reason);
  }

  static Path write(Path directory, String name, String text) {
    try {
      return Files.writeString(directory.resolve(name), text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static PythonFixture of(Path directory, String script) {
    return of(directory, script, 1, Map.of());
  }

  static PythonFixture of(
      Path directory, String script, int instances, Map<String, Object> settings) {
    write(directory, "predictor.py", script);
    return load(directory, instances, settings);
  }

  static PythonFixture load(Path path, int instances, Map<String, Object> settings) {
    PythonBackend backend = new PythonBackend(new ScriptFiles(Map.of()));
    Path found = backend.findModel(path).orElseThrow();
    Map<String, Object> all = new HashMap<>(settings);
    return new PythonFixture(
        (TensorModel)
            backend.load(
                new ModelSource(
                    new ModelId("scripted", "3"),
                    found,
                    Device.CPU,
                    instances,
                    1,
                    Settings.of("model.yaml", all))));
  }

  /** Rows as the front end of V1 makes them. */
  static TensorMap rows(String... rows) {
    return TensorMap.of("instances", Tensor.copyOf(Shape.of(rows.length), rows));
  }

  /** Runs the script; closes the inputs. */
  TensorMap predict(TensorMap inputs) {
    try (inputs) {
      return predictor.predict(inputs, List.of());
    }
  }

  /** The only output of the script for these rows, as JSON texts. */
  List<String> texts(String... rows) {
    try (TensorMap outputs = predict(rows(rows))) {
      return requireNonNull(outputs.tensor(0)).toStrings();
    }
  }

  @Nullable String outputName(String... rows) {
    try (TensorMap outputs = predict(rows(rows))) {
      return outputs.name(0) + outputs.tensor(0).shape();
    }
  }

  @Override
  public void close() {
    predictor.close();
    model.close();
  }
}

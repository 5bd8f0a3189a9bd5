package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.backend.onnx.OnnxBackend;
import dev.millrace.runtime.LoadListener;
import dev.millrace.runtime.ModelDescription;
import dev.millrace.runtime.ModelOptions;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.testing.OnnxModelWriter;
import dev.millrace.testing.OnnxModelWriter.Attribute;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** What is found out about real models when they are loaded into ONNX Runtime. */
@ExtendWith(TensorLeakExtension.class)
class OnnxCalibrationTest {
  @TempDir Path directory;

  private ModelDescription load(byte[] model) throws IOException {
    return load(model, Map.of("calibration-time", "500ms"));
  }

  private ModelDescription load(byte[] model, Map<String, Object> options) throws IOException {
    Files.write(directory.resolve("m.onnx"), model);
    RuntimeConfig config =
        RuntimeConfig.of(directory.resolve("m.onnx"))
            .withProcessors(2)
            .withOptions(ModelOptions.read(Settings.of("test", options)));
    try (ModelServer server =
        ModelServer.create(config, List.of(new OnnxBackend()), new SimpleMeterRegistry())) {
      server.models().loadAll(LoadListener.NONE);
      return server.models().describe(ModelId.latest("m"));
    }
  }

  private static String batching(ModelDescription model) {
    return model.metadata().properties().getOrDefault("batching", "");
  }

  @Test
  void perceptron_isVerifiedMeasuredAndPlaced() throws IOException {
    ModelDescription model = load(OnnxModels.perceptron(64, 256, 8));
    assertThat(batching(model)).isEqualTo("on: verified");
    assertThat(model.metadata().maxBatchSize()).isEqualTo(64);
    assertThat(model.metadata().properties().get("calibration"))
        .matches("[12] instances? x [12] threads?, 1 row [0-9.]+ ms, \\d+ rows [0-9.]+ ms");
    assertThat(model.instances() * model.threads()).isLessThanOrEqualTo(2);
  }

  @Test
  void textsAndNumbersOfManyTypes_areVerified() throws IOException {
    assertThat(batching(load(OnnxModels.manyTypes()))).isEqualTo("on: verified");
    assertThat(batching(load(OnnxModels.simpleString()))).isEqualTo("on: verified");
    assertThat(batching(load(OnnxModels.lookup()))).isEqualTo("on: verified");
  }

  @Test
  void sumOverTheBatchSoFar_isNotMerged() throws IOException {
    ModelDescription model =
        load(
            OnnxModelWriter.graph("cumulative")
                .input("X", DataType.FP32, "batch", 3)
                .output("Y", DataType.FP32, "batch", 3)
                .constant("AXIS", Shape.scalar(), 0L)
                .node("CumSum", List.of("X", "AXIS"), List.of("Y"))
                .toByteArray());
    assertThat(model.metadata().maxBatchSize()).isZero();
    assertThat(batching(model)).startsWith("off: output 'Y' changes by ");
  }

  @Test
  void normalisationByTheBatch_isNotMerged() throws IOException {
    byte[] model =
        OnnxModelWriter.graph("normalised")
            .input("X", DataType.FP32, "batch", 3)
            .output("Y", DataType.FP32, "batch", 3)
            .node("ReduceMean", List.of("X"), List.of("mean"), Attribute.of("axes", new long[] {0}))
            .node("Sub", List.of("X", "mean"), List.of("Y"))
            .toByteArray();
    assertThat(load(model).metadata().maxBatchSize()).isZero();
    assertThat(load(model, Map.of("batching", "on")).metadata().maxBatchSize()).isEqualTo(64);
  }

  @Test
  void modelThatTakesOneRowOnly_isNotMerged() throws IOException {
    ModelDescription model =
        load(
            OnnxModelWriter.graph("one_row")
                .input("X", DataType.FP32, "batch", 4)
                .output("Y", DataType.FP32, "rows", 4)
                .constant("SHAPE", Shape.of(2), 1L, 4L)
                .node("Reshape", List.of("X", "SHAPE"), List.of("Y"))
                .toByteArray(),
            Map.of("calibration-time", "500ms", "max-batch-size", 8));
    assertThat(batching(model)).startsWith("off: it takes 1 row and fails with 2: ");
  }

  @Test
  void modelThatQuantisesWhileItRuns_isMerged() throws IOException {
    ModelDescription model = load(miniLm(), Map.of());
    assertThat(batching(model)).startsWith("on: verified");
    assertThat(model.metadata().maxBatchSize()).isEqualTo(64);
    assertThat(model.metadata().properties()).containsKey("calibration");
  }

  private static byte[] miniLm() throws IOException {
    try (InputStream model =
        Objects.requireNonNull(
            OnnxCalibrationTest.class.getResourceAsStream("/all-minilm-l6-v2-q.onnx"))) {
      return model.readAllBytes();
    }
  }
}

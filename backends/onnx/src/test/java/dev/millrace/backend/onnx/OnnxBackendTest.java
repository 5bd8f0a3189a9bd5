package dev.millrace.backend.onnx;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.testing.OnnxModelWriter;
import dev.millrace.testing.OnnxModels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OnnxBackendTest {
  @TempDir Path directory;

  private final OnnxBackend backend = new OnnxBackend();

  @Test
  void serviceLoader_findsTheBackend() {
    assertThat(ServiceLoader.load(Backend.class)).hasOnlyElementsOfType(OnnxBackend.class);
  }

  @Test
  void findModel_takesTheFileOrTheOnlyOneInTheDirectory() throws IOException {
    assertThat(backend.findModel(directory)).isEmpty();
    Path model = Files.createFile(directory.resolve("resnet.onnx"));
    Files.createFile(directory.resolve("labels.txt"));
    assertThat(backend.findModel(model)).contains(model);
    assertThat(backend.findModel(directory)).contains(model);
    assertThat(backend.findModel(directory.resolve("labels.txt"))).isEmpty();
  }

  @Test
  void findModel_takesTheFileInADirectoryOfThatName() throws IOException {
    Path model = Files.createDirectory(directory.resolve("model.onnx")).resolve("model.onnx");
    assertThat(backend.findModel(directory)).isEmpty();
    Files.createFile(model);
    assertThat(backend.findModel(directory)).contains(model);
  }

  @Test
  void findModel_ofSeveral_takesTheUsualNameOrNone() throws IOException {
    Files.createFile(directory.resolve("a.onnx"));
    Files.createFile(directory.resolve("b.onnx"));
    assertThatThrownBy(() -> backend.findModel(directory))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("several models")
        .hasMessageContaining("[a.onnx, b.onnx]");
    Path usual = Files.createFile(directory.resolve("model.onnx"));
    assertThat(backend.findModel(directory)).contains(usual);
  }

  @Test
  void metadata_saysWhatTheModelDeclares() {
    byte[] bytes =
        OnnxModelWriter.graph("both")
            .metadata("author", "somebody")
            .metadata("labels", "x".repeat(5000))
            .metadata("onnxruntime", "mine")
            .input("X", DataType.FP32, "batch", 4)
            .output("Y", DataType.FP32, "batch", 4)
            .node("Relu", List.of("X"), List.of("Y"))
            .toByteArray();
    ModelMetadata metadata = metadata(bytes);
    assertThat(metadata.platform()).isEqualTo("onnxruntime_onnx");
    assertThat(metadata.inputs().getFirst().shape()).isEqualTo(Shape.of(-1, 4));
    assertThat(metadata.maxBatchSize()).isEqualTo(OnnxBackend.MAX_BATCH_SIZE);
    assertThat(metadata.properties())
        .containsEntry("author", "somebody")
        .containsEntry("graph", "both")
        .containsEntry("producer", "millrace")
        .containsEntry("execution-provider", "cpu")
        .doesNotContainKey("labels");
    assertThat(metadata.properties().get("onnxruntime")).startsWith("1.");
  }

  @Test
  void batchDimension_isSeenInTheModel() {
    assertThat(metadata(OnnxModels.simple()).isBatchable()).isTrue();
    assertThat(metadata(OnnxModels.classifier()).isBatchable()).isTrue();
    assertThat(metadata(OnnxModels.manyTypes()).isBatchable()).isTrue();
    assertThat(metadata(OnnxModels.sumOfRows()).isBatchable()).isFalse();
    assertThat(metadata(OnnxModels.scalars()).isBatchable()).isFalse();
    assertThat(metadata(OnnxModels.defaultInput()).isBatchable()).isFalse();
    assertThat(metadata(OnnxModels.identity(DataType.FP32, 1, 4)).isBatchable()).isFalse();
  }

  private ModelMetadata metadata(byte[] bytes) {
    try (TensorModel model = OnnxFixture.load(OnnxFixture.write(directory, bytes), Map.of())) {
      return model.metadata();
    }
  }

  @Test
  void runThatNobodyWaitsFor_ends_andTheNextIsNotAffected() throws InterruptedException {
    try (TensorModel model =
            OnnxFixture.load(OnnxFixture.write(directory, OnnxModels.rounds()), Map.of());
        Predictor predictor = model.newPredictor()) {
      AtomicReference<Throwable> failure = new AtomicReference<>();
      Thread runner =
          Thread.ofPlatform()
              .start(() -> {
                try {
                  run(predictor, 1L << 60).close();
                } catch (Throwable e) {
                  failure.set(e);
                }
              });
      while (runner.isAlive()) { // what is said before the run has begun goes unheard
        predictor.abandon();
        boolean _ = runner.join(Duration.ofMillis(1));
      }
      assertThat(failure.get()).isInstanceOf(InferenceException.class);
      try (TensorMap outputs = run(predictor, 3)) {
        assertThat(outputs.tensor(0).data().getLong(0)).isEqualTo(3);
      }
    }
  }

  private static TensorMap run(Predictor predictor, long rounds) {
    try (TensorMap inputs = TensorMap.of("ROUNDS", Tensor.copyOf(Shape.of(1), rounds))) {
      return predictor.predict(inputs, List.of());
    }
  }

  @Test
  void settings_areTaken() {
    Path file = OnnxFixture.write(directory, OnnxModels.simple());
    Map<String, Object> settings =
        Map.of(
            "optimization-level",
            "basic",
            "inter-op-threads",
            2,
            "execution-provider",
            "CPU",
            "memory-arena",
            false,
            "session-config",
            Map.of("session.set_denormal_as_zero", 1));
    try (TensorModel model = OnnxFixture.load(file, settings)) {
      assertThat(model.metadata().inputs()).hasSize(2);
    }
  }

  @Test
  void wrongSettings_areRefused() {
    Path file = OnnxFixture.write(directory, OnnxModels.simple());
    assertBadSetting(
        file,
        Map.of("execution-provider", "cuda"),
        "model.yaml: execution-provider: expected one of this build: cpu, got 'cuda'");
    assertBadSetting(
        file,
        Map.of("optimisation-level", "all"),
        "model.yaml: unknown key 'optimisation-level'; did you mean 'optimization-level'?");
    assertBadSetting(
        file,
        Map.of("optimization-level", "most"),
        "model.yaml: optimization-level: expected one of none, basic, extended, all, got 'most'");
  }

  private static void assertBadSetting(Path file, Map<String, Object> settings, String message) {
    assertThatThrownBy(() -> OnnxFixture.load(file, settings))
        .isInstanceOfSatisfying(
            InferenceException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT))
        .hasMessage(message);
  }

  @Test
  void fileThatIsNoModel_isRefusedWithItsReason() throws IOException {
    Path missing = directory.resolve("missing.onnx");
    assertRefused(missing, "there is no such file");
    assertRefused(new byte[0], "the file is empty");
    assertRefused("<html>404</html>".getBytes(US_ASCII), "this is not an ONNX model");
    byte[] whole = OnnxModels.perceptron(8, 8);
    assertRefused(Arrays.copyOf(whole, whole.length / 2), "or not a whole one");
    assertRefused(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".getBytes(US_ASCII),
        "git lfs pull");
  }

  @Test
  void modelThatTheEngineCannotRun_isRefusedWithItsReason() {
    assertRefused(relu().opset(99).toByteArray(), "is till opset");
    assertRefused(relu().irVersion(99).toByteArray(), "Unsupported model IR version: 99");
    assertRefused(
        unary("Nonsense").toByteArray(), "No Op registered for Nonsense with domain_version of 17");
    assertRefused(
        empty()
            .opset("com.acme", 1)
            .node("com.acme", "Secret", List.of("X"), List.of("Y"))
            .toByteArray(),
        "com.acme:Secret(-1) is not a registered function/op");
    assertRefused(
        empty()
            .externalConstant("W", DataType.FP32, Shape.of(4), "weights.bin")
            .node("Add", List.of("X", "W"), List.of("Y"))
            .toByteArray(),
        "External data path does not exist: \"" + directory.resolve("weights.bin") + '"');
    assertRefused(
        empty().node("Add", List.of("X", "NOPE"), List.of("Y")).toByteArray(),
        "Node input 'NOPE' is not a graph input");
  }

  private static OnnxModelWriter empty() {
    return OnnxModelWriter.graph("bad")
        .input("X", DataType.FP32, -1)
        .output("Y", DataType.FP32, -1);
  }

  private static OnnxModelWriter unary(String operator) {
    return empty().node(operator, List.of("X"), List.of("Y"));
  }

  private static OnnxModelWriter relu() {
    return unary("Relu");
  }

  private void assertRefused(byte[] bytes, String reason) {
    assertRefused(OnnxFixture.write(directory, bytes), reason);
  }

  private static void assertRefused(Path file, String reason) {
    assertThatThrownBy(() -> OnnxFixture.load(file, Map.of()))
        .isInstanceOfSatisfying(
            InferenceException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION))
        .hasMessageStartingWith(file + ": ")
        .hasMessageContaining(reason)
        .message()
        .doesNotContain("\n", "onnxruntime_src", ".cc:");
  }

  @Test
  void library_isNamedByPlatform() {
    assertThat(OrtLibrary.resource("Linux", "amd64")).contains("/linux-x64/");
    assertThat(OrtLibrary.resource("Mac OS X", "aarch64")).contains("/osx-aarch64/");
    assertThat(OrtLibrary.resource("Windows 11", "amd64")).contains("/win-x64/");
  }
}

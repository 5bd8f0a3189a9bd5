package dev.millrace.backend.pytorch;

import static dev.millrace.backend.pytorch.PyTorchFixture.spec;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.NvidiaDriver;
import dev.millrace.api.spi.TensorModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PyTorchBackendTest {
  @TempDir Path directory;

  private final PyTorchBackend backend = new PyTorchBackend();

  @AfterEach
  void nothingOfTheEngine_isLeftOpen() {
    assertThat(PyTorchEngine.openScopes()).isZero();
  }

  @Test
  void serviceLoader_findsTheBackend() {
    assertThat(ServiceLoader.load(Backend.class)).hasOnlyElementsOfType(PyTorchBackend.class);
  }

  @Test
  void findModel_takesTheFileOrTheOnlyOneInTheDirectory() throws IOException {
    assertThat(backend.findModel(directory)).isEmpty();
    Path model = Files.createFile(directory.resolve("resnet.torchscript"));
    Files.createFile(directory.resolve("labels.txt"));
    assertThat(backend.findModel(model)).contains(model);
    assertThat(backend.findModel(directory)).contains(model);
    assertThat(backend.findModel(directory.resolve("labels.txt"))).isEmpty();
    assertThat(backend.findModel(directory.resolve("x.pth"))).isPresent();
  }

  @Test
  void findModel_ofSeveral_takesTheUsualNameOrNone() throws IOException {
    Files.createFile(directory.resolve("a.pt"));
    Files.createFile(directory.resolve("b.pth"));
    assertThatThrownBy(() -> backend.findModel(directory))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("several models")
        .hasMessageContaining("[a.pt, b.pth]");
    Path usual = Files.createFile(directory.resolve("model.pt"));
    assertThat(backend.findModel(directory)).contains(usual);
  }

  @Test
  void undeclaredModel_leavesInputsAndOutputsOpen() {
    ModelMetadata metadata = metadata("addsub", Map.of());
    assertThat(metadata.platform()).isEqualTo("pytorch_libtorch");
    assertThat(metadata.inputs()).isEmpty();
    assertThat(metadata.outputs()).isEmpty();
    assertThat(metadata.maxBatchSize()).isEqualTo(PyTorchBackend.MAX_BATCH_SIZE);
    assertThat(metadata.properties())
        .containsEntry("pytorch", "2.7.1")
        .containsEntry("arguments", "INPUT0, INPUT1");
  }

  @Test
  void tracedModel_declaresWhatItWasTracedWith() {
    ModelMetadata metadata = metadata("digits", Map.of());
    assertThat(metadata.inputs())
        .containsExactly(new TensorSpec("pixels", DataType.FP32, Shape.of(-1, 64)));
    assertThat(metadata.isBatchable()).isTrue();
    metadata = metadata("traced", Map.of());
    assertThat(metadata.inputs())
        .containsExactly(
            new TensorSpec("ids", DataType.INT64, Shape.of(-1, 7)),
            new TensorSpec("mask", DataType.BOOL, Shape.of(-1, 7)),
            new TensorSpec("scale", DataType.BF16, Shape.scalar()));
    assertThat(metadata.isBatchable()).isFalse();
  }

  @Test
  void tracedModel_isDeclaredByItsConfigurationFirst() {
    ModelMetadata metadata =
        metadata("digits", Map.of("inputs", List.of(spec("image", "FP32", -1, -1))));
    assertThat(metadata.inputs())
        .containsExactly(new TensorSpec("image", DataType.FP32, Shape.of(-1, -1)));
  }

  @Test
  void declaredModel_saysWhatIsDeclared() {
    ModelMetadata metadata =
        metadata(
            "scaled",
            Map.of(
                "inputs",
                List.of(spec("bias", "fp32", -1, 2), spec("x", "FP32", -1, 2)),
                "outputs",
                List.of(spec("y", "FP32", -1, 2))));
    assertThat(metadata.inputs())
        .containsExactly(
            new TensorSpec("bias", DataType.FP32, Shape.of(-1, 2), true),
            new TensorSpec("x", DataType.FP32, Shape.of(-1, 2)));
    assertThat(metadata.outputs())
        .containsExactly(new TensorSpec("y", DataType.FP32, Shape.of(-1, 2)));
    assertThat(metadata.isBatchable()).isTrue();
  }

  @Test
  void fixedFirstDimension_isNoBatch() {
    assertThat(
            metadata("identity", Map.of("inputs", List.of(spec("x", "FP32", 1, 2)))).isBatchable())
        .isFalse();
    assertThat(
            metadata(
                    "identity",
                    Map.of(
                        "inputs",
                        List.of(spec("x", "FP32", -1, 2)),
                        "outputs",
                        List.of(spec("y", "FP32"))))
                .isBatchable())
        .isFalse();
  }

  private static ModelMetadata metadata(String name, Map<String, Object> settings) {
    try (TensorModel model = PyTorchFixture.load(PyTorchFixture.file(name + ".pt"), settings)) {
      return model.metadata();
    }
  }

  @Test
  void wrongSettings_areRefused() {
    assertBadSetting(Map.of("input", List.of()), "unknown key 'input'; did you mean 'inputs'?");
    assertBadSetting(
        Map.of("inputs", List.of(spec("x", "UINT16", -1))),
        "inputs[0].datatype: expected one of [BOOL, UINT8, INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64], got 'UINT16'");
    assertBadSetting(
        Map.of("inputs", List.of(Map.of("name", "x", "datatype", "FP32"))),
        "inputs[0].shape: expected a list of sizes, -1 where any will do, as in [-1, 64], got ''");
    assertBadSetting(
        Map.of("inputs", List.of(spec("x", "FP32", -2))), "inputs[0].shape: expected a list");
    assertBadSetting(
        Map.of("inputs", List.of(Map.of("datatype", "FP32"))), "inputs[0].name: expected a name");
    assertBadSetting(
        Map.of("inputs", List.of(spec("x", "FP32"), spec("x", "FP32"))),
        "inputs[1].name: expected a name that no other has, got 'x'");
    assertBadSetting(
        Map.of("inputs", List.of(spec("x__0", "FP32"), spec("y__1", "FP32"))),
        "input 'y__1' is declared, but the script's arguments are [x]");
    assertBadSetting(
        Map.of("optimized-execution", "maybe"), "optimized-execution: expected true or false");
  }

  @Test
  void argumentThatIsNotDeclared_isNamed() {
    Path file = PyTorchFixture.file("addsub.pt");
    assertThatThrownBy(() ->
            PyTorchFixture.load(file, Map.of("inputs", List.of(spec("INPUT0", "FP32", -1, 16)))))
        .hasMessage(
            file + ": the script's argument 'INPUT1' is not among the declared inputs [INPUT0]");
  }

  private static void assertBadSetting(Map<String, Object> settings, String message) {
    assertThatThrownBy(() -> PyTorchFixture.load(PyTorchFixture.file("identity.pt"), settings))
        .hasMessageContaining(message)
        .isInstanceOfSatisfying(
            InferenceException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT));
  }

  @Test
  void fileThatIsNoScript_isRefusedWithItsReason() throws IOException {
    assertRefused(directory.resolve("missing.pt"), "there is no such file");
    assertRefused(new byte[0], "the file is empty");
    assertRefused("<html>404</html>".getBytes(US_ASCII), "this is not a PyTorch archive");
    byte[] whole = Files.readAllBytes(PyTorchFixture.file("identity.pt"));
    assertRefused(Arrays.copyOf(whole, whole.length / 2), "or is not whole");
    assertRefused(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".getBytes(US_ASCII),
        "git lfs pull");
  }

  @Test
  void whatTorchSaveWrites_isRefusedWithItsReason() {
    assertRefused(
        PyTorchFixture.file("statedict.pt"),
        "this is what torch.save writes, weights or a pickled module without its code; expected is"
            + " TorchScript, as torch.jit.save writes it");
    assertRefused(
        PyTorchFixture.file("legacy.pt"), "this is a pickle, as torch.save wrote before 1.6");
  }

  @Test
  void scriptThatTheEngineCannotRun_isRefusedWithItsReason() {
    assertRefused(
        PyTorchFixture.file("newer.pt"),
        "written by a newer PyTorch: its format is 99, the newest that PyTorch 2.7.1 reads is 10");
    assertRefused(PyTorchFixture.file("unknown.pt"), "Unknown builtin op: aten::nonsense.");
    assertRefused(PyTorchFixture.file("nothing.pt"), "the script has no method forward");
    assertRefused(
        PyTorchFixture.file("counted.pt"),
        "forward takes 'n: int', and only tensors can be given to it");
  }

  private void assertRefused(byte[] bytes, String reason) throws IOException {
    assertRefused(Files.write(directory.resolve("model.pt"), bytes), reason);
  }

  private static void assertRefused(Path file, String reason) {
    assertThatThrownBy(() -> PyTorchFixture.load(file, Map.of()))
        .hasMessageStartingWith(file + ": ")
        .hasMessageContaining(reason)
        .isInstanceOfSatisfying(
            InferenceException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION))
        .message()
        .doesNotContain("\n", ".cpp:");
  }

  @Test
  void gpu_isRefusedByABuildForProcessors() {
    assertThat(backend.devices()).containsExactly(Device.CPU);
    assertThatThrownBy(() ->
            PyTorchFixture.load(
                PyTorchFixture.file("identity.pt"), Map.of(), new Device(Device.Kind.GPU, 0)))
        .hasMessage(
            "model:1 cannot run on gpu:0: its PyTorch is the build for CPUs; use the image's variant"
                + " 'gpu', or build with -Pgpu");
    assertThat(backend.gpuSupport()).isInstanceOf(GpuSupport.None.class);
  }

  @Test
  void devices_areTheDriversGpusIfTheBuildIsForThem() {
    NvidiaDriver twoGpus = new NvidiaDriver(true, 0, 2);
    Device gpu = new Device(Device.Kind.GPU, 1);
    assertThat(PyTorchBackend.devices(new GpuSupport.Ready(), twoGpus))
        .containsExactly(new Device(Device.Kind.GPU, 0), gpu, Device.CPU);
    assertThat(PyTorchBackend.devices(new GpuSupport.Ready(), NvidiaDriver.NONE))
        .containsExactly(Device.CPU);
    assertThat(PyTorchBackend.devices(new GpuSupport.None("x"), twoGpus))
        .containsExactly(Device.CPU);
    assertThat(PyTorchBackend.engineDevice(gpu)).isEqualTo(ai.djl.Device.gpu(1));
    assertThat(PyTorchBackend.engineDevice(Device.CPU)).isEqualTo(ai.djl.Device.cpu());
  }
}

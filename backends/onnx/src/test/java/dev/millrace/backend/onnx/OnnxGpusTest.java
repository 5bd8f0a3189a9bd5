package dev.millrace.backend.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.NvidiaDriver;
import dev.millrace.testing.OnnxModels;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What is made of described builds, drivers and libraries; and of this build, which is for CPUs.
 */
class OnnxGpusTest {
  private static final List<String> CPU_BUILD = List.of("CPUExecutionProvider");
  private static final List<String> GPU_BUILD =
      List.of("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider");
  private static final NvidiaDriver TWO_GPUS = new NvidiaDriver(true, 0, 2);
  private static final Device GPU = new Device(Device.Kind.GPU, 1);

  @TempDir private Path directory;

  private static Supplier<Optional<String>> says(String words) {
    return () -> Optional.of(words);
  }

  private static Optional<String> notAsked() {
    throw new AssertionError("the provider is set up without need");
  }

  @Test
  void support_isThatOfTheBuild() {
    assertThat(OnnxGpus.support(CPU_BUILD, TWO_GPUS, OnnxGpusTest::notAsked))
        .isEqualTo(
            new GpuSupport.None(
                "its ONNX Runtime is the build for CPUs; use the image's variant 'gpu', or build"
                    + " with -Pgpu"));
    assertThat(OnnxGpus.support(GPU_BUILD, NvidiaDriver.NONE, OnnxGpusTest::notAsked))
        .isEqualTo(new GpuSupport.Ready());
    assertThat(OnnxGpus.support(GPU_BUILD, TWO_GPUS, Optional::empty))
        .isEqualTo(new GpuSupport.Ready());
  }

  @Test
  void libraryThatIsMissing_isNamed() {
    assertBroken(
        "Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.12:"
            + " cannot open shared object file: No such file or directory",
        "libcublasLt.so.12 is missing, which ONNX Runtime needs for GPUs; install CUDA 12 and cuDNN"
            + " 9, or use the image's variant 'gpu'");
    assertBroken(
        "Failed to load library /x/libonnxruntime_providers_cuda.so with error:"
            + " /x/libonnxruntime_providers_cuda.so: cannot open shared object file: No such file or"
            + " directory",
        "libonnxruntime_providers_cuda.so is missing beside ONNX Runtime's library");
    assertBroken(
        "CUDA failure 35: driver is too old",
        "ONNX Runtime cannot set CUDA up: CUDA failure 35: driver is too old");
  }

  private static void assertBroken(String words, String reason) {
    assertThat(OnnxGpus.support(GPU_BUILD, TWO_GPUS, says(words)))
        .isEqualTo(new GpuSupport.Broken(reason));
  }

  @Test
  void devices_areTheDriversGpusIfTheEngineCanUseThem() {
    assertThat(OnnxGpus.devices(new GpuSupport.Ready(), TWO_GPUS))
        .containsExactly(new Device(Device.Kind.GPU, 0), GPU, Device.CPU);
    assertThat(OnnxGpus.devices(new GpuSupport.Ready(), NvidiaDriver.NONE))
        .containsExactly(Device.CPU);
    assertThat(OnnxGpus.devices(new GpuSupport.Broken("x"), TWO_GPUS)).containsExactly(Device.CPU);
  }

  @Test
  void provider_isToldWhichGpu_andWhatTheConfigurationSays() {
    assertThat(OrtSessionOptions.cudaOptions(1, Map.of()))
        .containsExactly(Map.entry("device_id", "1"));
    assertThat(OrtSessionOptions.cudaOptions(0, Map.of("gpu_mem_limit", "1073741824")))
        .containsExactly(Map.entry("device_id", "0"), Map.entry("gpu_mem_limit", "1073741824"));
    OnnxSettings onGpu = OnnxSettings.read(Settings.empty("model.yaml"), OnnxGpus.CUDA, GPU_BUILD);
    assertThat(onGpu.provider()).isEqualTo(OnnxGpus.CUDA);
    assertThatThrownBy(() ->
            OnnxSettings.read(
                Settings.of("model.yaml", Map.of("provider-options", Map.of("device_id", 2))),
                OnnxGpus.CUDA,
                GPU_BUILD))
        .hasMessage(
            "model.yaml: provider-options.device_id: expected nothing, as the model's 'device' says"
                + " which, got '2'");
  }

  @Test
  void outOfMemory_isForTheBatcherToKnow() {
    assertThat(codeOf("Failed to allocate memory for requested buffer of size 4294967296"))
        .isEqualTo(ErrorCode.RESOURCE_EXHAUSTED);
    assertThat(codeOf("CUDA error 2: Out of memory")).isEqualTo(ErrorCode.RESOURCE_EXHAUSTED);
    assertThat(codeOf("CUDA error 700")).isEqualTo(ErrorCode.INTERNAL);
  }

  private static ErrorCode codeOf(String words) {
    return OnnxErrors.ofRun(new OrtException(1, words), "").code();
  }

  @Test
  void thisBuild_isForCpus_andSaysSo() {
    OnnxBackend backend = new OnnxBackend();
    assertThat(backend.devices()).containsExactly(Device.CPU);
    assertThat(backend.gpuSupport()).isInstanceOf(GpuSupport.None.class);
    Path file = OnnxFixture.write(directory, OnnxModels.simple());
    assertThatThrownBy(() ->
            backend.load(
                new ModelSource(
                    new ModelId("m", "1"), file, GPU, 1, 1, Settings.empty("model.yaml"))))
        .isInstanceOf(InferenceException.class)
        .hasMessageStartingWith("m:1 cannot run on gpu:1: its ONNX Runtime is the build for CPUs;");
  }

  /** The same calls as on a machine with GPUs, up to the engine's refusal. */
  @Test
  void providerThatThisBuildLacks_isRefusedByTheEngine() {
    assertThat(OrtSessionOptions.tryCuda())
        .hasValueSatisfying(failure -> assertThat(failure.words()).containsIgnoringCase("CUDA"));
  }
}

package dev.millrace.backend.onnx;

import dev.millrace.api.Device;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.NvidiaDriver;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The GPUs that ONNX Runtime can use: those of its CUDA execution provider. */
final class OnnxGpus {
  static final String CUDA = "CUDAExecutionProvider";

  /** What the dynamic linker says of a library that is not there. */
  private static final Pattern MISSING =
      Pattern.compile("(lib[^\\s/:]+\\.so[.\\d]*): cannot open shared object file");

  private OnnxGpus() {}

  /** Set up when it is first asked for, which loads hundreds of megabytes. */
  private static final class Provider {
    private static final Optional<String> FAILURE = tryCuda();
  }

  /**
   * Whether this build has the provider and can set it up.
   *
   * @throws LinkageError if the engine cannot be used at all
   */
  static GpuSupport support() {
    return support(OrtEnvironment.PROVIDERS, NvidiaDriver.ofThisMachine(), () -> Provider.FAILURE);
  }

  /**
   * As above, of what is described.
   *
   * @param cuda what the engine says when the provider is set up; empty if nothing
   */
  static GpuSupport support(
      List<String> providers, NvidiaDriver driver, Supplier<Optional<String>> cuda) {
    if (!providers.contains(CUDA)) {
      return new GpuSupport.None(
          "its ONNX Runtime is the build for CPUs; " + GpuSupport.BUILD_FOR_GPUS);
    }
    Optional<String> failure = driver.gpus() == 0 ? Optional.empty() : cuda.get();
    return failure.isPresent()
        ? new GpuSupport.Broken(explain(failure.get()))
        : new GpuSupport.Ready();
  }

  /** The devices of an engine with that support, GPUs first. */
  static List<Device> devices(GpuSupport support, NvidiaDriver driver) {
    List<Device> devices = new ArrayList<>();
    if (support instanceof GpuSupport.Ready) {
      for (int i = 0; i < driver.gpus(); i++) {
        devices.add(new Device(Device.Kind.GPU, i));
      }
    }
    devices.add(Device.CPU);
    return List.copyOf(devices);
  }

  private static Optional<String> tryCuda() {
    return OrtSessionOptions.tryCuda().map(failure -> OnnxErrors.cleaned(failure.words()));
  }

  private static String explain(String words) {
    Matcher missing = MISSING.matcher(words);
    if (!missing.find()) {
      return "ONNX Runtime cannot set CUDA up: " + words;
    }
    String library = missing.group(1);
    return library.startsWith("libonnxruntime")
        ? "%s is missing beside ONNX Runtime's library".formatted(library)
        : "%s is missing, which ONNX Runtime needs for GPUs; install CUDA 12 and cuDNN 9, or use the image's variant 'gpu'"
            .formatted(library);
  }
}

package dev.millrace.distribution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Device;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.runtime.Backends;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Libraries for GPUs, which are gigabytes, are in the layout if the build was for GPUs, or not. */
class GpuLibrariesTest {
  private static final Path HOME = Path.of(System.getProperty("millrace.home"));
  private static final boolean FOR_GPUS = Boolean.getBoolean("millrace.gpu");

  private static List<String> cudaLibraries() throws IOException {
    try (Stream<Path> files = Files.walk(HOME)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.matches(".*(cuda|cudnn|cublas|tensorrt|-gpu|_gpu|cu1\\d\\d).*"))
          .sorted()
          .toList();
    }
  }

  @Test
  void layout_hasThemOnlyIfItIsForGpus() throws IOException {
    if (FOR_GPUS) {
      assertThat(cudaLibraries()).contains("libonnxruntime_providers_cuda.so", "libtorch_cuda.so");
    } else {
      assertThat(cudaLibraries()).isEmpty();
    }
  }

  @Test
  void backends_sayWhatTheirEnginesAreBuiltFor() {
    for (Backend backend : Backends.inDirectory(HOME.resolve("backends"))) {
      boolean anyway = backend.name().equals("python"); // scripts choose by themselves
      assertThat(backend.gpuSupport() instanceof GpuSupport.None)
          .as(backend.name())
          .isEqualTo(anyway || !FOR_GPUS);
      assertThat(backend.devices()).as(backend.name()).contains(Device.CPU);
    }
  }
}

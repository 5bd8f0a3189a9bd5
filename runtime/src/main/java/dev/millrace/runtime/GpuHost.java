package dev.millrace.runtime;

import dev.millrace.api.spi.NvidiaDriver;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * What this machine, or this container, has of NVIDIA's GPUs, whatever an engine makes of it.
 *
 * @param deviceFiles whether the system shows a GPU: {@code /dev/nvidia*}, or {@code /dev/dxg} on
 *     Linux below Windows
 * @param driver what the driver says, if there is a GPU
 * @param cudaVisible {@code CUDA_VISIBLE_DEVICES}, by which CUDA hides GPUs from a process and
 *     numbers the others
 * @param nvidiaVisible {@code NVIDIA_VISIBLE_DEVICES}, by which NVIDIA's container toolkit chooses
 *     the GPUs of a container
 */
record GpuHost(
    boolean deviceFiles,
    NvidiaDriver driver,
    Optional<String> cudaVisible,
    Optional<String> nvidiaVisible) {
  private static final Path NAMES = Path.of("/proc/driver/nvidia/gpus");

  /** This machine. Loads the driver's library, if there is a GPU for it. */
  static GpuHost here() {
    return of(Path.of("/dev"), NvidiaDriver::ofThisMachine, System.getenv());
  }

  /**
   * A machine of that directory of devices and that environment.
   *
   * @param driver asked only if there is a GPU
   */
  static GpuHost of(Path devices, Supplier<NvidiaDriver> driver, Map<String, String> environment) {
    boolean hasGpu = hasGpu(devices);
    return new GpuHost(
        hasGpu,
        hasGpu ? driver.get() : NvidiaDriver.NONE,
        Optional.ofNullable(environment.get("CUDA_VISIBLE_DEVICES")),
        Optional.ofNullable(environment.get("NVIDIA_VISIBLE_DEVICES")));
  }

  private static boolean hasGpu(Path devices) {
    try (Stream<Path> files = Files.list(devices)) {
      return files
          .map(file -> file.getFileName().toString())
          .anyMatch(name -> name.matches("nvidia\\d+|dxg"));
    } catch (IOException | UncheckedIOException e) {
      return false;
    }
  }

  /** What the GPUs are called, each kind once, as far as the driver tells in {@code /proc}. */
  static String kinds() {
    TreeSet<String> kinds = new TreeSet<>();
    try (Stream<Path> gpus = Files.list(NAMES)) {
      for (Path gpu : (Iterable<Path>) gpus::iterator) {
        try (Stream<String> lines = Files.lines(gpu.resolve("information"))) {
          lines.filter(line -> line.startsWith("Model:")).map(String::strip).forEach(kinds::add);
        }
      }
    } catch (IOException | UncheckedIOException e) {
      return "unknown";
    }
    return String.join(", ", kinds);
  }
}

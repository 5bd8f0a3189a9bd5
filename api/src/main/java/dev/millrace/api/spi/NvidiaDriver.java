package dev.millrace.api.spi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.Locale;

/**
 * What NVIDIA's driver has to say, by its library {@code libcuda}: the functions {@code cuInit} and
 * {@code cuDeviceGetCount} of the CUDA driver API, whose results are the numbers of {@code
 * CUresult}.
 *
 * @param installed whether its library is there
 * @param status how it could be set up: 0 well, 100 without a GPU, others see {@code CUresult}
 * @param gpus how many GPUs it shows to this process, numbered from 0: those that {@code
 *     CUDA_VISIBLE_DEVICES} leaves
 */
public record NvidiaDriver(boolean installed, int status, int gpus) {
  /** No driver. */
  public static final NvidiaDriver NONE = new NvidiaDriver(false, 0, 0);

  /** The driver's library on Linux, and on Windows below it. */
  private static final String LINUX_LIBRARY = "libcuda.so.1";

  private static final String WINDOWS_LIBRARY = "nvcuda";

  /** Asks when it is first used. */
  private static final class Holder {
    private static final NvidiaDriver DRIVER = ask();
  }

  /**
   * The driver of this machine. Asked once for the life of the process, which the first call waits
   * for; from any thread.
   */
  public static NvidiaDriver ofThisMachine() {
    return Holder.DRIVER;
  }

  @SuppressWarnings("restricted") // loads native code: there is no other way to ask
  private static NvidiaDriver ask() {
    String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
    if (os.contains("mac")) {
      return NONE;
    }
    try {
      return ask(
          SymbolLookup.libraryLookup(
              os.contains("windows") ? WINDOWS_LIBRARY : LINUX_LIBRARY, Arena.global()));
    } catch (IllegalArgumentException e) { // no such library
      return NONE;
    }
  }

  private static NvidiaDriver ask(SymbolLookup library) {
    try (Arena arena = Arena.ofConfined()) {
      int status = call(library, "cuInit", JAVA_INT, 0);
      if (status != 0) {
        return new NvidiaDriver(true, status, 0);
      }
      MemorySegment count = arena.allocate(JAVA_INT);
      status = call(library, "cuDeviceGetCount", ADDRESS, count);
      return new NvidiaDriver(true, status, status == 0 ? count.get(JAVA_INT, 0) : 0);
    }
  }

  @SuppressWarnings("restricted") // as above
  private static int call(
      SymbolLookup library, String function, MemoryLayout type, Object argument) {
    try {
      return (int)
          Linker.nativeLinker()
              .downcallHandle(
                  library.find(function).orElseThrow(), FunctionDescriptor.of(JAVA_INT, type))
              .invokeWithArguments(argument);
    } catch (Throwable e) {
      throw new LinkageError("NVIDIA's driver cannot be asked by " + function, e);
    }
  }
}

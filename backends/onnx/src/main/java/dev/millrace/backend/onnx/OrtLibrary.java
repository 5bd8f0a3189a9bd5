package dev.millrace.backend.onnx;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Finds the native library of ONNX Runtime: in the directory that the system property {@code
 * onnxruntime.native.path} names, if it is there, else in the engine's jar, from which it is
 * unpacked for a moment.
 */
final class OrtLibrary {
  /** The property that ONNX Runtime's own Java API reads, too. */
  static final String DIRECTORY_PROPERTY = "onnxruntime.native.path";

  private static final String FILE_NAME = System.mapLibraryName("onnxruntime");

  /** What the build for GPUs loads from beside the library, when a model is placed on one. */
  private static final List<String> GPU_FILE_NAMES =
      List.of(
          System.mapLibraryName("onnxruntime_providers_shared"),
          System.mapLibraryName("onnxruntime_providers_cuda"));

  private OrtLibrary() {}

  /**
   * Loads the library for the rest of the process's life.
   *
   * @throws IllegalStateException with a message for people if it cannot be had
   */
  static SymbolLookup open() {
    refuseTelemetry();
    String directory = System.getProperty(DIRECTORY_PROPERTY);
    if (directory != null && Files.exists(Path.of(directory, FILE_NAME))) {
      return open(Path.of(directory, FILE_NAME));
    }
    return openUnpacked();
  }

  /**
   * Sets {@code ORT_DISABLE_TELEMETRY} for this process, unless its environment says something of
   * it: the engine reports its use as soon as it is set up, before its own switch can be reached,
   * and has been seen to crash in doing so. Java cannot change the environment, so the C library
   * does.
   */
  @SuppressWarnings("restricted") // calls native code, which is what a backend is for
  private static void refuseTelemetry() {
    Linker linker = Linker.nativeLinker();
    linker
        .defaultLookup()
        .find("setenv")
        .ifPresent(setenv -> {
          FunctionDescriptor signature =
              FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT);
          try (Arena arena = Arena.ofConfined()) {
            int _ =
                (int)
                    linker
                        .downcallHandle(setenv, signature)
                        .invokeExact(
                            arena.allocateFrom("ORT_DISABLE_TELEMETRY"),
                            arena.allocateFrom("1"),
                            0);
          } catch (Throwable e) {
            throw new LinkageError("setenv failed", e);
          }
        });
  }

  private static SymbolLookup openUnpacked() {
    String resource = resource(System.getProperty("os.name"), System.getProperty("os.arch"));
    try (InputStream packed = OrtLibrary.class.getResourceAsStream(resource)) {
      if (packed == null) {
        throw new IllegalStateException(
            "there is no ONNX Runtime for %s on %s: %s is missing"
                .formatted(System.getProperty("os.name"), System.getProperty("os.arch"), resource));
      }
      return openUnpacked(packed, resource.substring(0, resource.lastIndexOf('/') + 1));
    } catch (IOException e) {
      throw new IllegalStateException(
          "ONNX Runtime's library could not be unpacked under %s (%s); unpack it beforehand and name its directory by -D%s"
              .formatted(System.getProperty("java.io.tmpdir"), e, DIRECTORY_PROPERTY),
          e);
    }
  }

  private static SymbolLookup openUnpacked(InputStream packed, String resources)
      throws IOException {
    Path directory = Files.createTempDirectory("millrace-onnxruntime");
    Path file = directory.resolve(FILE_NAME);
    boolean forGpus = false;
    try {
      Files.copy(packed, file);
      forGpus = unpackForGpus(resources, directory);
      return open(file);
    } finally {
      if (!forGpus) {
        delete(file);
        delete(directory);
      }
    }
  }

  /** Whether there is more to unpack for GPUs; all of it then stays until the process ends. */
  private static boolean unpackForGpus(String resources, Path directory) throws IOException {
    boolean found = false;
    directory.toFile().deleteOnExit(); // the last to be registered goes first
    directory.resolve(FILE_NAME).toFile().deleteOnExit();
    for (String name : GPU_FILE_NAMES) {
      try (InputStream packed = OrtLibrary.class.getResourceAsStream(resources + name)) {
        if (packed != null) {
          Files.copy(packed, directory.resolve(name));
          directory.resolve(name).toFile().deleteOnExit();
          found = true;
        }
      }
    }
    return found;
  }

  @SuppressWarnings("restricted") // loads native code, which is what a backend is for
  private static SymbolLookup open(Path file) {
    try {
      return SymbolLookup.libraryLookup(file, Arena.global());
    } catch (IllegalArgumentException e) {
      throw new IllegalStateException("ONNX Runtime cannot be loaded from " + file, e);
    }
  }

  /** Where Linux and macOS let a file go that is loaded, Windows does not. */
  private static void delete(Path path) {
    try {
      Files.delete(path);
    } catch (IOException e) {
      path.toFile().deleteOnExit();
    }
  }

  /** Where the engine's jar has the library for an operating system and a processor. */
  static String resource(@Nullable String osName, @Nullable String osArch) {
    String os = String.valueOf(osName).toLowerCase(Locale.ROOT);
    String system = os.contains("mac") ? "osx" : os.contains("windows") ? "win" : "linux";
    String processor =
        switch (String.valueOf(osArch).toLowerCase(Locale.ROOT)) {
          case "amd64", "x86_64" -> "x64";
          case "aarch64", "arm64" -> "aarch64";
          default -> String.valueOf(osArch);
        };
    return "/ai/onnxruntime/native/%s-%s/%s".formatted(system, processor, FILE_NAME);
  }
}

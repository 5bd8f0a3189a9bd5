package dev.millrace.backend.tensorflow;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Finds the native library of TensorFlow: in the directory that the system property {@code
 * tensorflow.native.path} names, if it is there, else in the engine's jar, from which it is
 * unpacked for a moment.
 */
final class TfLibrary {
  /** The property that names the directory of the unpacked library. */
  static final String DIRECTORY_PROPERTY = "tensorflow.native.path";

  /**
   * What the engine reads from its environment when it is loaded, and no option of a session says.
   *
   * <p>Its log goes to the standard error stream, where each run that fails for a client's values
   * would be a warning: errors only. And the threads of a session's kernels are that session's own;
   * otherwise the first session would decide for all.
   */
  private static final List<Variable> ENVIRONMENT =
      List.of(
          new Variable("TF_CPP_MIN_LOG_LEVEL", "2"),
          new Variable("TF_OVERRIDE_GLOBAL_THREADPOOL", "1"));

  private record Variable(String name, String value) {}

  private TfLibrary() {}

  /**
   * Loads the library for the rest of the process's life.
   *
   * @throws IllegalStateException with a message for people if it cannot be had
   */
  static SymbolLookup open() {
    String os = System.getProperty("os.name");
    List<String> files = fileNames(os);
    String directory = System.getProperty(DIRECTORY_PROPERTY);
    if (directory != null && Files.exists(Path.of(directory, files.getLast()))) {
      return open(Path.of(directory), files);
    }
    String resources = resources(os, System.getProperty("os.arch"));
    String forGpus = resources.replaceFirst("/$", "-gpu/");
    boolean hasGpus = TfLibrary.class.getResource(forGpus + files.getLast()) != null;
    return openUnpacked(hasGpus ? forGpus : resources, files);
  }

  /** Sets what {@link #ENVIRONMENT} says and the environment does not: Java cannot, C can. */
  @SuppressWarnings("restricted") // calls native code, which is what a backend is for
  private static void prepareEnvironment() {
    Linker linker = Linker.nativeLinker();
    MemorySegment function = linker.defaultLookup().find("setenv").orElse(null);
    if (function == null) {
      return;
    }
    MethodHandle setenv =
        linker.downcallHandle(
            function, FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
    try (Arena arena = Arena.ofConfined()) {
      for (Variable variable : ENVIRONMENT) {
        int _ =
            (int)
                setenv.invokeExact(
                    arena.allocateFrom(variable.name), arena.allocateFrom(variable.value), 0);
      }
    } catch (Throwable e) {
      throw new LinkageError("setenv failed", e);
    }
  }

  private static SymbolLookup openUnpacked(String resources, List<String> files) {
    try {
      Path directory = Files.createTempDirectory("millrace-tensorflow");
      try {
        for (String file : files) {
          unpack(resources + file, directory.resolve(file));
        }
        return open(directory, files);
      } finally {
        for (String file : files) {
          delete(directory.resolve(file));
        }
        delete(directory);
      }
    } catch (IOException e) {
      throw new IllegalStateException(
          "TensorFlow's library could not be unpacked under %s (%s); unpack it beforehand and name its directory by -D%s"
              .formatted(System.getProperty("java.io.tmpdir"), e, DIRECTORY_PROPERTY),
          e);
    }
  }

  private static void unpack(String resource, Path target) throws IOException {
    try (InputStream packed = TfLibrary.class.getResourceAsStream(resource)) {
      if (packed == null) {
        throw new IllegalStateException(
            "there is no TensorFlow for %s on %s: %s is missing"
                .formatted(System.getProperty("os.name"), System.getProperty("os.arch"), resource));
      }
      Files.copy(packed, target);
    }
  }

  /** Opens the last file, which needs those before it and finds them beside it. */
  @SuppressWarnings("restricted") // loads native code, which is what a backend is for
  private static SymbolLookup open(Path directory, List<String> files) {
    prepareEnvironment();
    Path file = directory.resolve(files.getLast()).toAbsolutePath();
    try {
      return SymbolLookup.libraryLookup(file, Arena.global());
    } catch (IllegalArgumentException e) {
      throw new IllegalStateException("TensorFlow cannot be loaded from " + file, e);
    }
  }

  /** Where Linux and macOS let a file go that is loaded, Windows does not. */
  private static void delete(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      path.toFile().deleteOnExit();
    }
  }

  /** The two files of the library, the one with the C interface last. */
  static List<String> fileNames(@Nullable String osName) {
    return String.valueOf(osName).toLowerCase(Locale.ROOT).contains("mac")
        ? List.of("libtensorflow_framework.2.dylib", "libtensorflow_cc.2.dylib")
        : List.of("libtensorflow_framework.so.2", "libtensorflow_cc.so.2");
  }

  /** Where the engine's jar has the library for an operating system and a processor. */
  static String resources(@Nullable String osName, @Nullable String osArch) {
    String os = String.valueOf(osName).toLowerCase(Locale.ROOT);
    String system = os.contains("mac") ? "macosx" : os.contains("windows") ? "windows" : "linux";
    String processor =
        switch (String.valueOf(osArch).toLowerCase(Locale.ROOT)) {
          case "amd64", "x86_64" -> "x86_64";
          case "aarch64", "arm64" -> "arm64";
          default -> String.valueOf(osArch);
        };
    return "/org/tensorflow/internal/c_api/%s-%s/".formatted(system, processor);
  }
}

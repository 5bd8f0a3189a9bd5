package dev.millrace.backend.pytorch;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Finds PyTorch's native libraries: in the directory that {@code PYTORCH_LIBRARY_PATH} names, an
 * environment variable or a system property, if they are there, else in the engine's jars, from
 * which they are unpacked for a moment. DJL on its own would unpack them into the home directory,
 * or download what it does not find.
 */
final class PyTorchNatives implements AutoCloseable {
  /** The name that DJL itself reads. */
  static final String DIRECTORY_PROPERTY = "PYTORCH_LIBRARY_PATH";

  /** What the jar of natives has in it, and for which machine. */
  private static final String CONTENTS = "/native/lib/pytorch.properties";

  private static final String TORCH = System.mapLibraryName("torch");
  private static final String BRIDGE = System.mapLibraryName("djl_torch");

  /** Only a build for GPUs has it. */
  private static final String CUDA = System.mapLibraryName("torch_cuda");

  private final Path directory;
  private final boolean unpacked;
  private final boolean forGpus;

  private PyTorchNatives(Path directory, boolean unpacked, boolean forGpus) {
    this.directory = directory;
    this.unpacked = unpacked;
    this.forGpus = forGpus;
  }

  /**
   * Finds the libraries, unpacking them if need be; to be closed when they are loaded.
   *
   * @throws IllegalStateException with a message for people if there are none
   */
  static PyTorchNatives find() {
    Optional<Path> named = named();
    if (named.isPresent()) {
      return new PyTorchNatives(named.get(), false, hasCuda(named.get()));
    }
    try {
      return unpack(contents());
    } catch (IOException e) {
      throw new IllegalStateException(
          "PyTorch's libraries could not be unpacked under %s (%s); unpack them beforehand and name their directory by -D%s"
              .formatted(System.getProperty("java.io.tmpdir"), e, DIRECTORY_PROPERTY),
          e);
    }
  }

  /** The directory that is named, if the libraries are there. */
  private static Optional<Path> named() {
    String named = System.getenv(DIRECTORY_PROPERTY);
    named = named == null ? System.getProperty(DIRECTORY_PROPERTY) : named;
    return Optional.ofNullable(named).map(Path::of).filter(PyTorchNatives::isComplete);
  }

  /**
   * Whether {@link #find} would find a build for GPUs; nothing is loaded or unpacked.
   *
   * @throws IllegalStateException with a message for people if there are none
   */
  static boolean areForGpus() {
    try {
      Optional<Path> named = named();
      return named.isPresent() ? hasCuda(named.get()) : isForGpus(contents());
    } catch (IOException e) {
      throw new IllegalStateException("PyTorch's jars cannot be read: " + e, e);
    }
  }

  static boolean hasCuda(Path directory) {
    return Files.exists(directory.resolve(CUDA));
  }

  /** Whether a jar of natives with these properties is for GPUs, as in {@code cu124}. */
  static boolean isForGpus(Properties contents) {
    return flavor(contents).startsWith("cu");
  }

  private static String flavor(Properties contents) {
    String flavor = contents.getProperty("flavor", "");
    String classifier = contents.getProperty("classifier", "");
    return flavor.isEmpty()
        ? classifier.substring(0, Math.max(0, classifier.indexOf('-')))
        : flavor;
  }

  private static boolean isComplete(Path directory) {
    return Files.exists(directory.resolve(TORCH)) && Files.exists(directory.resolve(BRIDGE));
  }

  /** Where the libraries are until this is closed. */
  Path directory() {
    return directory;
  }

  private static Properties contents() throws IOException {
    Properties contents = new Properties();
    try (InputStream in = PyTorchNatives.class.getResourceAsStream(CONTENTS)) {
      if (in == null) {
        throw new IllegalStateException(
            "there is no PyTorch for %s on %s: neither %s in the directory that %s names, nor a jar of its libraries"
                .formatted(
                    System.getProperty("os.name"),
                    System.getProperty("os.arch"),
                    TORCH,
                    DIRECTORY_PROPERTY));
      }
      contents.load(in);
    }
    return contents;
  }

  private static PyTorchNatives unpack(Properties contents) throws IOException {
    String machine = machine(System.getProperty("os.name"), System.getProperty("os.arch"));
    List<String> resources = resources(contents, machine);
    PyTorchNatives natives =
        new PyTorchNatives(
            Files.createTempDirectory("millrace-pytorch"), true, isForGpus(contents));
    try {
      for (String resource : resources) {
        try (InputStream in = PyTorchNatives.class.getResourceAsStream(resource)) {
          if (in == null) {
            throw new IllegalStateException(
                "there is no PyTorch for %s: %s is missing".formatted(machine, resource));
          }
          Files.copy(
              in, natives.directory.resolve(resource.substring(resource.lastIndexOf('/') + 1)));
        }
      }
      return natives;
    } catch (IOException | RuntimeException e) {
      natives.close();
      throw e;
    }
  }

  /** Where in the jars the libraries are. */
  static List<String> resources(Properties contents, String machine) {
    String classifier = contents.getProperty("classifier", "");
    if (!classifier.endsWith(machine)) {
      throw new IllegalStateException(
          "there is no PyTorch for %s: the jar of its libraries is for %s"
              .formatted(machine, classifier));
    }
    String flavor = flavor(contents);
    List<String> resources = new ArrayList<>();
    for (String library : contents.getProperty("libraries", "").split(",", -1)) {
      resources.add("/pytorch/%s/%s/%s".formatted(flavor, machine, library.strip()));
    }
    resources.add("/jnilib/%s/%s/%s".formatted(machine, flavor, BRIDGE));
    return resources;
  }

  /** An operating system and a processor as the jars name them. */
  static String machine(@Nullable String osName, @Nullable String osArch) {
    String os = String.valueOf(osName).toLowerCase(Locale.ROOT);
    String system = os.contains("mac") ? "osx" : os.contains("windows") ? "win" : "linux";
    String processor =
        switch (String.valueOf(osArch).toLowerCase(Locale.ROOT)) {
          case "amd64", "x86_64" -> "x86_64";
          case "aarch64", "arm64" -> "aarch64";
          default -> String.valueOf(osArch);
        };
    return system + '-' + processor;
  }

  /**
   * Removes what was unpacked: Linux and macOS let a file go that is loaded, Windows does not. A
   * build for GPUs loads some of its libraries later on, so they stay until the process ends.
   */
  @Override
  public void close() {
    if (!unpacked) {
      return;
    }
    try (Stream<Path> files = Files.walk(directory)) {
      if (forGpus) {
        // The last to be registered goes first.
        files.sorted().forEach(file -> file.toFile().deleteOnExit());
        return;
      }
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        try {
          Files.delete(file);
        } catch (IOException e) {
          file.toFile().deleteOnExit();
        }
      }
    } catch (IOException e) {
      directory.toFile().deleteOnExit();
    }
  }
}

package dev.millrace.transformers;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Hugging Face's library of tokenizers in this process: loaded with the first tokenizer, there for
 * the rest of its life.
 *
 * <p>It is in the directory that the system property {@value #DIRECTORY_PROPERTY} names, else in
 * the jar, from which it is unpacked for a moment. DJL on its own would unpack it into the home
 * directory, or download another.
 */
final class TokenizerLibrary {
  /** Where the library is unpacked beforehand. */
  static final String DIRECTORY_PROPERTY = "tokenizers.native.path";

  private static final String FILE = System.mapLibraryName("tokenizers");

  private static final TokenizersLibrary LIBRARY = load();

  private TokenizerLibrary() {}

  /**
   * The library's functions, which are safe to be called by several threads.
   *
   * @throws LinkageError if it cannot be loaded
   */
  static TokenizersLibrary functions() {
    return LIBRARY;
  }

  private static TokenizersLibrary load() {
    String named = System.getProperty(DIRECTORY_PROPERTY);
    Path file = named == null ? null : Path.of(named, FILE);
    if (file != null && Files.exists(file)) {
      return load(file);
    }
    try {
      Path directory = Files.createTempDirectory("millrace-tokenizers");
      Path unpacked = directory.resolve(FILE);
      try {
        unpack(unpacked);
        return load(unpacked);
      } finally { // what is loaded may be deleted, but not on Windows
        Files.deleteIfExists(unpacked);
        Files.deleteIfExists(directory);
      }
    } catch (IOException e) {
      throw new UnsatisfiedLinkError(
          "the library of tokenizers could not be unpacked under %s (%s); unpack it beforehand and name its directory by -D%s"
              .formatted(System.getProperty("java.io.tmpdir"), e, DIRECTORY_PROPERTY));
    }
  }

  /** The functions are bound to it because their class is of this class's loader. */
  @SuppressWarnings("restricted") // native access is what this is for
  private static TokenizersLibrary load(Path file) {
    System.load(file.toAbsolutePath().toString());
    return TokenizersLibrary.LIB;
  }

  private static void unpack(Path target) throws IOException {
    String machine = machine(System.getProperty("os.name"), System.getProperty("os.arch"));
    String resource = "/native/lib/%s/cpu/%s".formatted(machine, FILE);
    try (InputStream in = TokenizersLibrary.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new UnsatisfiedLinkError("there is no library of tokenizers for " + machine);
      }
      Files.copy(in, target);
    }
  }

  /** An operating system and a processor as the jar names them. */
  private static String machine(@Nullable String osName, @Nullable String osArch) {
    String os = String.valueOf(osName).toLowerCase(Locale.ROOT);
    String system = os.contains("mac") ? "osx" : os.contains("windows") ? "win" : "linux";
    return switch (String.valueOf(osArch).toLowerCase(Locale.ROOT)) {
      case "amd64", "x86_64" -> system + "-x86_64";
      case "aarch64", "arm64" -> system + "-aarch64";
      default -> system + "-" + osArch;
    };
  }
}

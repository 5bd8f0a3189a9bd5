package dev.millrace.backend.pytorch;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.TensorSpec;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;

/**
 * Recognises what a PyTorch file is, before the engine does, and reads what it says of the script.
 *
 * <p>{@code torch.jit.save} writes a zip archive with one folder: {@code data.pkl} is the module,
 * {@code code/} its classes in a subset of Python, {@code version} the format's number. {@code
 * torch.save} writes the same without {@code code/}; before PyTorch 1.6 it wrote a bare pickle.
 *
 * @param code the script
 * @param traced what it was traced with, in the order of its arguments; empty if it was not, or the
 *     file does not tell
 */
record TorchScriptFile(ScriptCode code, List<TensorSpec> traced) {
  private static final String LFS_POINTER = "version https://git-lfs.github.com/spec/";
  private static final String EXPECTED = "expected is TorchScript, as torch.jit.save writes it";

  /** The newest format that the engine reads. */
  private static final int NEWEST_FORMAT = 10;

  private static final int MAX_TEXT_BYTES = 1 << 24;

  TorchScriptFile {
    traced = List.copyOf(traced);
  }

  /**
   * Reads the file.
   *
   * @throws InferenceException FAILED_PRECONDITION if it is missing, unreadable, empty, or
   *     something else than a script
   */
  static TorchScriptFile read(Path file) {
    check(file);
    try (ZipFile archive = new ZipFile(file.toFile())) {
      return read(file, archive);
    } catch (IOException e) {
      throw failure(
          file, "the archive cannot be read, or is not whole (%s)".formatted(e.getMessage()), e);
    }
  }

  private static void check(Path file) {
    if (!Files.isRegularFile(file)) {
      throw failure(file, "there is no such file", null);
    }
    byte[] start;
    try (InputStream in = Files.newInputStream(file)) {
      start = in.readNBytes(LFS_POINTER.length());
    } catch (IOException e) {
      throw failure(file, "the file cannot be read (%s)".formatted(e.getMessage()), e);
    }
    String text = new String(start, ISO_8859_1);
    if (text.isEmpty()) {
      throw failure(file, "the file is empty", null);
    }
    if (text.equals(LFS_POINTER)) {
      throw failure(file, "this is a Git LFS pointer; fetch the model with 'git lfs pull'", null);
    }
    if (text.startsWith("\u0080")) {
      throw failure(file, "this is a pickle, as torch.save wrote before 1.6; " + EXPECTED, null);
    }
    if (!text.startsWith("PK")) {
      throw failure(file, "this is not a PyTorch archive; " + EXPECTED, null);
    }
  }

  private static TorchScriptFile read(Path file, ZipFile archive) throws IOException {
    Map<String, ZipEntry> entries = new LinkedHashMap<>();
    archive.stream()
        .filter(entry -> !entry.isDirectory())
        .forEach(entry -> entries.putIfAbsent(withoutFolder(entry.getName()), entry));
    if (!entries.containsKey("data.pkl")
        && entries.keySet().stream().anyMatch(TorchScriptFile::isExported)) {
      throw failure(file, "this is a program of torch.export; " + EXPECTED, null);
    }
    if (!entries.containsKey("data.pkl")) {
      throw failure(file, "this is an archive, but not PyTorch's; " + EXPECTED, null);
    }
    if (!entries.containsKey("constants.pkl")) {
      throw failure(
          file,
          "this is what torch.save writes, weights or a pickled module without its code; "
              + EXPECTED,
          null);
    }
    int format = format(text(archive, entries.get("version")));
    if (format > NEWEST_FORMAT) {
      throw failure(
          file,
          "the file was written by a newer PyTorch: its format is %d, the newest that PyTorch %s reads is %d"
              .formatted(format, PyTorchEngine.version(), NEWEST_FORMAT),
          null);
    }
    Map<String, String> code = new LinkedHashMap<>();
    for (Map.Entry<String, ZipEntry> entry : entries.entrySet()) {
      if (entry.getKey().startsWith("code/") && entry.getKey().endsWith(".py")) {
        code.put(entry.getKey(), text(archive, entry.getValue()));
      }
    }
    ScriptCode script = new ScriptCode(rootClass(archive, entries.get("data.pkl")), code);
    return new TorchScriptFile(script, traced(archive, entries.get("traced_inputs.pkl"), script));
  }

  private static List<TensorSpec> traced(ZipFile archive, @Nullable ZipEntry entry, ScriptCode code)
      throws IOException {
    Optional<List<Argument>> arguments = code.arguments();
    if (entry == null || arguments.isEmpty()) {
      return List.of();
    }
    try (InputStream in = archive.getInputStream(entry)) {
      return TracedInputs.read(in.readNBytes(MAX_TEXT_BYTES), arguments.get());
    }
  }

  private static boolean isExported(String name) {
    return name.equals("archive_format") || name.startsWith("serialized_exported_program");
  }

  private static String withoutFolder(String name) {
    return name.substring(name.indexOf('/') + 1);
  }

  private static String text(ZipFile archive, @Nullable ZipEntry entry) throws IOException {
    if (entry == null) {
      return "";
    }
    try (InputStream in = archive.getInputStream(entry)) {
      return new String(in.readNBytes(MAX_TEXT_BYTES), java.nio.charset.StandardCharsets.UTF_8);
    }
  }

  private static int format(String text) {
    try {
      return Integer.parseInt(text.strip());
    } catch (NumberFormatException e) {
      return 0; // the engine will have its own opinion
    }
  }

  /**
   * The class of the module: what its pickle names first, after the two bytes of its protocol, by
   * the instruction {@code c}, a line for the package and a line for the class.
   */
  private static Optional<String> rootClass(ZipFile archive, ZipEntry pickle) throws IOException {
    String start;
    try (InputStream in = archive.getInputStream(pickle)) {
      start = new String(in.readNBytes(4096), US_ASCII);
    }
    String[] lines = start.split("\n", 3);
    return lines.length == 3 && lines[0].length() > 3 && lines[0].charAt(2) == 'c'
        ? Optional.of(lines[0].substring(3) + '.' + lines[1])
        : Optional.empty();
  }

  private static InferenceException failure(Path file, String what, @Nullable Throwable cause) {
    return new InferenceException(ErrorCode.FAILED_PRECONDITION, file + ": " + what, cause);
  }
}

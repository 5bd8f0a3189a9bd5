package dev.millrace.backend.onnx;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Recognises the files that people take for models, before the engine speaks of protobuf. */
final class OnnxFile {
  private static final String LFS_POINTER = "version https://git-lfs.github.com/spec/";

  private OnnxFile() {}

  /**
   * Checks that the file can be a model.
   *
   * @throws InferenceException FAILED_PRECONDITION if it is missing, unreadable, empty, or stands
   *     for a file that was not fetched
   */
  static void check(Path file) {
    if (!Files.isRegularFile(file)) {
      throw failure(file, "there is no such file", null);
    }
    byte[] start;
    try (InputStream in = Files.newInputStream(file)) {
      start = in.readNBytes(LFS_POINTER.length());
    } catch (IOException e) {
      throw failure(file, "the file cannot be read (%s)".formatted(e.getMessage()), e);
    }
    if (start.length == 0) {
      throw failure(file, "the file is empty", null);
    }
    if (new String(start, US_ASCII).equals(LFS_POINTER)) {
      throw failure(file, "this is a Git LFS pointer; fetch the model with 'git lfs pull'", null);
    }
  }

  private static InferenceException failure(Path file, String what, @Nullable Throwable cause) {
    return new InferenceException(ErrorCode.FAILED_PRECONDITION, file + ": " + what, cause);
  }
}

package dev.millrace.backend.onnx;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.nio.file.Path;
import java.util.regex.Pattern;

/** Turns the engine's failures into answers: one line, without the places where it was built. */
final class OnnxErrors {
  /** The engine's source file with line and function, which ends where the message starts. */
  private static final Pattern SOURCE_PLACE =
      Pattern.compile(
          "/\\S*/(?:onnxruntime|include)/\\S+:\\d+ [^\\r\\n]*?\\)(?: const)?(?: \\[with [^\\]]*])? "
              + "|\\b\\w+\\.(?:cc|h):\\d+ \\w+ ");

  private static final Pattern LOAD_PREFIX = Pattern.compile("^Load model from .*? failed:");

  private static final Pattern LINE_BREAK = Pattern.compile("\\s*\\R\\s*");

  /** What the engine's arena says, and CUDA. */
  private static final Pattern OUT_OF_MEMORY =
      Pattern.compile("Failed to allocate memory|(?i)out of memory");

  private OnnxErrors() {}

  /**
   * The failure of a run.
   *
   * @param contradiction what contradicts itself in the inputs, which is then why; "" if nothing
   */
  static InferenceException ofRun(OrtException failure, String contradiction) {
    String words = cleaned(failure.words());
    if (failure.code() == OrtException.INVALID_ARGUMENT) {
      return new InferenceException(ErrorCode.INVALID_ARGUMENT, words, failure);
    }
    if (OUT_OF_MEMORY.matcher(failure.words()).find()) {
      return new InferenceException(ErrorCode.RESOURCE_EXHAUSTED, words, failure);
    }
    return contradiction.isEmpty()
        ? new InferenceException(ErrorCode.INTERNAL, words, failure)
        : new InferenceException(
            ErrorCode.INVALID_ARGUMENT, "%s: %s".formatted(contradiction, words), failure);
  }

  /** The failure to load a model. */
  static InferenceException ofLoad(Path file, OrtException failure) {
    String words = LOAD_PREFIX.matcher(cleaned(failure.words())).replaceFirst("");
    String message =
        failure.code() == OrtException.INVALID_PROTOBUF
            ? "this is not an ONNX model, or not a whole one (%s)".formatted(words)
            : words;
    return new InferenceException(
        ErrorCode.FAILED_PRECONDITION, "%s: %s".formatted(file, message), failure);
  }

  /** The engine's words on one line, without the places in its source. */
  static String cleaned(String words) {
    return oneLine(SOURCE_PLACE.matcher(words).replaceAll(""));
  }

  private static String oneLine(String text) {
    return LINE_BREAK.matcher(text.strip()).replaceAll(" ");
  }
}

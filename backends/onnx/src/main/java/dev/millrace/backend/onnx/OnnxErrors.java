package dev.millrace.backend.onnx;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.util.regex.Pattern;

/** Turns the engine's failures into answers: one line, without the places where it was built. */
final class OnnxErrors {
  /** A source file with line and function, which ends where the message starts. */
  private static final Pattern SOURCE_PLACE =
      Pattern.compile("/\\S*/(?:onnxruntime|include)/\\S+:\\d+ [^\\r\\n]*?\\)(?: const)? ");

  private static final Pattern LINE_BREAK = Pattern.compile("\\s*\\R\\s*");

  private OnnxErrors() {}

  /** The failure of a run. */
  static InferenceException ofRun(OrtException failure) {
    ErrorCode code =
        failure.code() == OrtException.INVALID_ARGUMENT
            ? ErrorCode.INVALID_ARGUMENT
            : ErrorCode.INTERNAL;
    return new InferenceException(code, cleaned(failure.words()), failure);
  }

  /** The failure to load a model. */
  static InferenceException ofLoad(String what, OrtException failure) {
    return new InferenceException(
        ErrorCode.FAILED_PRECONDITION, what + ": " + cleaned(failure.words()), failure);
  }

  static String cleaned(String words) {
    return oneLine(SOURCE_PLACE.matcher(words).replaceAll(""));
  }

  static String oneLine(String text) {
    return LINE_BREAK.matcher(text.strip()).replaceAll(" ");
  }
}

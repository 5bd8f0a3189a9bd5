package dev.millrace.backend.tensorflow;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Turns the engine's failures into answers: one line, without what only its authors can read. */
final class TensorFlowErrors {
  /** The first of the causes that the engine lists. */
  private static final Pattern ROOT_ERROR =
      Pattern.compile(
          "(?s)^\\d+ root error\\(s\\) found\\.\\s*\\(0\\) [A-Z_]+: (.*?)(?:\\s+\\(1\\) .*)?$");

  /** The place in the graph, as in <code>[[{{node gather}}]]</code>, and what follows it. */
  private static final Pattern GRAPH_PLACE = Pattern.compile("(?s)\\s*\\[\\[\\{\\{.*$");

  private static final Pattern PREFIX = Pattern.compile("^Graph execution error:\\s*");

  private static final Pattern UNKNOWN_OPERATOR =
      Pattern.compile("(?s)Op type not registered '([^']+)'.*");

  private static final Pattern LINE_BREAK = Pattern.compile("\\s*\\R\\s*");

  private TensorFlowErrors() {}

  /** The failure of a run. */
  static InferenceException ofRun(TfException failure) {
    return new InferenceException(code(failure.code()), cleaned(failure.words()), failure);
  }

  /** The failure to load a model. */
  static InferenceException ofLoad(Path directory, TfException failure) {
    Matcher operator = UNKNOWN_OPERATOR.matcher(failure.words());
    String message =
        operator.find()
            ? "the graph has the operator '%s', which TensorFlow %s does not know"
                .formatted(operator.group(1), TfApi.version())
            : cleaned(failure.words());
    return new InferenceException(
        ErrorCode.FAILED_PRECONDITION, "%s: %s".formatted(directory, message), failure);
  }

  /**
   * What a code of the enum TF_Code says of a run. A FAILED_PRECONDITION is a variable or a table
   * without a value, an UNIMPLEMENTED an operator without a kernel: neither is the client's fault,
   * and the model cannot be run at all.
   */
  private static ErrorCode code(int code) {
    return switch (code) {
      case 1 -> ErrorCode.CANCELLED;
      case 3, 11 -> ErrorCode.INVALID_ARGUMENT; // and OUT_OF_RANGE
      case 4 -> ErrorCode.DEADLINE_EXCEEDED;
      case 8 -> ErrorCode.RESOURCE_EXHAUSTED;
      case 9 -> ErrorCode.FAILED_PRECONDITION;
      case 12 -> ErrorCode.UNIMPLEMENTED;
      default -> ErrorCode.INTERNAL;
    };
  }

  /** The engine's words on one line, without the places in the graph. */
  static String cleaned(String words) {
    String text = PREFIX.matcher(words.strip()).replaceFirst("");
    Matcher root = ROOT_ERROR.matcher(text);
    if (root.matches()) {
      text = root.group(1);
    }
    text = GRAPH_PLACE.matcher(text).replaceFirst("");
    return LINE_BREAK.matcher(text.strip()).replaceAll(" ");
  }
}

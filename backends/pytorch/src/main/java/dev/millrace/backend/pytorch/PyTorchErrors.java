package dev.millrace.backend.pytorch;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Turns the engine's failures into answers: one line, without traces and places in its source. */
final class PyTorchErrors {
  /** The last line of a script's trace: the exception's class and what it says. */
  private static final Pattern RAISED =
      Pattern.compile("(?m)^(?:[\\w.]*\\.)?(\\w*(?:Error|Exception|Failure)): ?(.*)$");

  /** Where in the engine's source a check failed. */
  private static final Pattern SOURCE_PLACE =
      Pattern.compile(
          " at \"?/?\\S+\\.(?:cpp|h|cc|cu)\"?:\\d+, please report a bug to PyTorch\\.|"
              + "\\[enforce fail at [^\\]]*] *");

  private static final Pattern FRAME = Pattern.compile("(?s)\\s*\\RException raised from .*");

  private static final List<String> OUT_OF_MEMORY =
      List.of("can't allocate memory", "not enough memory", "out of memory", "bad_alloc");

  private PyTorchErrors() {}

  /** The failure of a run: the inputs' fault, unless it says that it is the engine's. */
  static InferenceException ofRun(RuntimeException failure) {
    if (failure instanceof InferenceException inference) {
      return inference;
    }
    String words = String.valueOf(failure.getMessage());
    String line = cleaned(words);
    String lower = words.toLowerCase(Locale.ROOT);
    if (OUT_OF_MEMORY.stream().anyMatch(lower::contains)) {
      return new InferenceException(ErrorCode.RESOURCE_EXHAUSTED, line, failure);
    }
    boolean engineAtFault =
        !(failure instanceof ai.djl.engine.EngineException)
            || lower.contains("internal assert")
            || lower.contains("cuda error");
    return new InferenceException(
        engineAtFault ? ErrorCode.INTERNAL : ErrorCode.INVALID_ARGUMENT, line, failure);
  }

  /** The failure to load a model. */
  static InferenceException ofLoad(Path file, RuntimeException failure) {
    return new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "%s: %s".formatted(file, cleaned(String.valueOf(failure.getMessage()))),
        failure);
  }

  /** What the engine says, on one line: of a trace, what was raised in the end. */
  static String cleaned(String words) {
    String said = words;
    Matcher raised = RAISED.matcher(words);
    int start = -1;
    while (raised.find()) {
      start = raised.start(2);
      said = raised.group(2).isBlank() ? raised.group(1) : words.substring(start);
    }
    said = FRAME.matcher(said).replaceFirst("");
    said = SOURCE_PLACE.matcher(said).replaceAll("");
    return said.strip().lines().map(String::strip).findFirst().orElse("");
  }
}

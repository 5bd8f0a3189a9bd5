package dev.millrace.transformers;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.spi.TransformerSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;

/** Kinds of options that several steps have. */
final class StepSettings {
  private StepSettings() {}

  /** A number. */
  static Optional<Double> number(Settings settings, String key) {
    return settings.value(key).map(value -> number(settings, key, value));
  }

  private static double number(Settings settings, String key, Object value) {
    try {
      double number = Double.parseDouble(value.toString());
      if (Double.isFinite(number)) {
        return number;
      }
    } catch (NumberFormatException e) {
      throw settings.bad(key, value, "a number");
    }
    throw settings.bad(key, value, "a number");
  }

  /** A number or a list of numbers; empty if there is none. */
  static float[] numbers(Settings settings, String key) {
    List<Object> list = settings.list(key);
    float[] numbers = new float[list.size()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) number(settings, key, list.get(i));
    }
    return numbers;
  }

  /** A text or a list of texts; empty if there is none. */
  static List<String> texts(Settings settings, String key) {
    return settings.list(key).stream().map(String::valueOf).toList();
  }

  /** Names, each with a value that {@code read} makes of its section and key. */
  static <T> Map<String, T> named(
      Settings settings, String key, BiFunction<Settings, String, T> read) {
    Settings section = settings.section(key);
    Map<String, T> named = new LinkedHashMap<>();
    for (String name : section.keys()) {
      named.put(name, read.apply(section, name));
    }
    return named;
  }

  /** A datatype under {@code key}. */
  static Optional<DataType> dataType(Settings settings, String key) {
    return settings.oneOf(key, DataType.class);
  }

  /** A shape: a list of sizes, -1 for any. */
  static Shape shape(Settings settings, String key) {
    List<Object> sizes = settings.list(key);
    long[] dims = new long[sizes.size()];
    for (int i = 0; i < dims.length; i++) {
      double size = number(settings, key, sizes.get(i));
      if (size != Math.rint(size) || size < Shape.ANY || size > Integer.MAX_VALUE) {
        throw settings.bad(key, sizes, "a list of sizes, -1 for any, as in [-1, 28, 28]");
      }
      dims[i] = (long) size;
    }
    return Shape.of(dims);
  }

  /**
   * The names of classes, by their numbers: a list under {@code labels}, or the lines of the file
   * under {@code labels-file}; empty if neither is there.
   */
  static List<String> labels(TransformerSource source) {
    Settings settings = source.settings();
    List<String> labels = texts(settings, "labels");
    if (settings.string("labels-file").isEmpty()) {
      return labels;
    }
    if (!labels.isEmpty()) {
      throw settings.bad("labels-file", "both", "either labels or labels-file");
    }
    Path file = source.file("labels-file", "labels.txt");
    try {
      List<String> lines = new ArrayList<>(Files.readAllLines(file));
      while (!lines.isEmpty() && lines.getLast().isBlank()) {
        lines.removeLast();
      }
      return lines;
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION, "%s cannot be read: %s".formatted(file, e), e);
    }
  }

  /** The two options that {@link #labels} reads. */
  static List<StepKind.Option> labelOptions(String usual) {
    return List.of(
        new StepKind.Option("labels", "list of texts", usual, "The names of classes 0, 1, 2, …"),
        new StepKind.Option(
            "labels-file", "path", "none", "A file with a name in each line, instead."));
  }
}

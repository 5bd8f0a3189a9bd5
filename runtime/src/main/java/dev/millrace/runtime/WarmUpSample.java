package dev.millrace.runtime;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import java.util.List;
import java.util.Optional;

/**
 * A request that a {@code config.pbtxt} wants a model to run before it serves.
 *
 * @param place the file and the line
 * @param rows of the batch; 0 if the shapes say all
 * @param count how often it runs, at least once
 */
public record WarmUpSample(String place, String name, int rows, int count, List<Input> inputs) {
  public WarmUpSample {
    inputs = List.copyOf(inputs);
  }

  /** Where the values come from. */
  public enum Values {
    ZERO,
    RANDOM,
    FILE
  }

  /**
   * One input.
   *
   * @param shape of a row, or of all if there are no rows
   * @param file below {@code warmup/} in the model's directory; has the values of a row
   */
  public record Input(
      String name, DataType dataType, Shape shape, Values values, Optional<String> file) {}
}

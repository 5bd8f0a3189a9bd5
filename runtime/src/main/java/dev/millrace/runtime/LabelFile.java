package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The names of the classes that an output scores.
 *
 * @param name of the file that they were read from
 * @param labels by class, from 0; the file has one a line
 */
public record LabelFile(String name, List<String> labels) {
  public LabelFile {
    labels = List.copyOf(labels);
  }

  /**
   * Reads a file.
   *
   * @throws InferenceException FAILED_PRECONDITION if it is not there, or not text in UTF-8
   */
  static LabelFile read(Path file) {
    try {
      return new LabelFile(
          String.valueOf(file.getFileName()), Files.readAllLines(file, StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "the file of labels %s cannot be read as text: %s".formatted(file, e),
          e);
    }
  }
}

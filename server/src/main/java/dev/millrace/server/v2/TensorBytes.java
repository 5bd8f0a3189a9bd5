package dev.millrace.server.v2;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import java.nio.ByteBuffer;

/** Checks the bytes that a client sends for a tensor, over HTTP as over gRPC. */
public final class TensorBytes {
  private TensorBytes() {}

  /**
   * Checks that the remaining bytes of {@code bytes} are what datatype and shape take.
   *
   * @throws InferenceException INVALID_ARGUMENT, with the texts of Triton
   */
  public static void check(
      String model, String input, DataType dataType, Shape shape, ByteBuffer bytes) {
    if (dataType.isFixedSize()) {
      checkSize(model, input, Tensor.byteSize(dataType, shape), bytes.remaining());
    } else {
      checkElements(model, input, shape.elementCount(), Tensor.countElements(bytes));
    }
  }

  /**
   * Checks the number of bytes.
   *
   * @throws InferenceException INVALID_ARGUMENT, with the text of Triton
   */
  public static void checkSize(String model, String input, long expected, long got) {
    if (got != expected) {
      throw InferenceException.invalidArgument(
          "input byte size mismatch for input '%s' for model '%s'. Expected %d, got %d"
              .formatted(input, model, expected, got));
    }
  }

  /**
   * Checks the number of BYTES elements.
   *
   * @param got -1 if their lengths do not add up
   * @throws InferenceException INVALID_ARGUMENT, with the texts of Triton
   */
  public static void checkElements(String model, String input, long expected, long got) {
    if (got < 0) {
      throw InferenceException.invalidArgument(
          "element byte size indicator exceeds the end of the buffer for inference input '%s' for model '%s'"
              .formatted(input, model));
    } else if (got < expected) {
      throw InferenceException.invalidArgument(
          "expected %d string elements for inference input '%s' for model '%s', got %d"
              .formatted(expected, input, model, got));
    } else if (got > expected) {
      throw InferenceException.invalidArgument(
          "unexpected number of string elements %d for inference input '%s' for model '%s', expecting %d"
              .formatted(expected + 1, input, model, expected));
    }
  }
}

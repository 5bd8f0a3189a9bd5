package dev.millrace.backend.tensorflow;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/**
 * Writes the classifier of handwritten digits that {@code backends/pytorch} has trained once more,
 * as a SavedModel: logits = output(relu(hidden(pixels / 16))), with the same weights.
 */
final class Digits {
  private static final int PIXELS = 64;
  private static final int HIDDEN = 32;
  private static final int DIGITS = 10;

  private Digits() {}

  /** The model with the weights in an archive of NumPy's. */
  static SavedModelWriter graph(Path weights) throws IOException {
    Map<String, ?> floats = Map.of("T", DataType.FP32);
    try (ZipFile archive = new ZipFile(weights.toFile())) {
      float[] hidden = transposed(floats(archive, "hidden_weight"), HIDDEN, PIXELS);
      float[] output = transposed(floats(archive, "output_weight"), DIGITS, HIDDEN);
      return new SavedModelWriter()
          .placeholder("pixels", DataType.FP32, Shape.of(-1, PIXELS))
          .constant("sixteen", SavedModelWriter.floats(Shape.scalar(), 16))
          .constant("hidden/weight", SavedModelWriter.floats(Shape.of(PIXELS, HIDDEN), hidden))
          .constant(
              "hidden/bias",
              SavedModelWriter.floats(Shape.of(HIDDEN), floats(archive, "hidden_bias")))
          .constant("output/weight", SavedModelWriter.floats(Shape.of(HIDDEN, DIGITS), output))
          .constant(
              "output/bias",
              SavedModelWriter.floats(Shape.of(DIGITS), floats(archive, "output_bias")))
          .node("scaled", "RealDiv", List.of("pixels", "sixteen"), floats)
          .node("hidden/product", "MatMul", List.of("scaled", "hidden/weight"), floats)
          .node("hidden/sum", "BiasAdd", List.of("hidden/product", "hidden/bias"), floats)
          .node("hidden/relu", "Relu", List.of("hidden/sum"), floats)
          .node("output/product", "MatMul", List.of("hidden/relu", "output/weight"), floats)
          .node("logits", "BiasAdd", List.of("output/product", "output/bias"), floats)
          .signature(
              "serving_default",
              signature ->
                  signature
                      .input("pixels", "pixels:0", DataType.FP32, Shape.of(-1, PIXELS))
                      .output("logits", "logits:0", DataType.FP32, Shape.of(-1, DIGITS)));
    }
  }

  /** An array of little-endian FP32: ten bytes, a text of the length in the last two, numbers. */
  private static float[] floats(ZipFile archive, String name) throws IOException {
    ZipEntry entry = archive.getEntry(name + ".npy");
    try (InputStream in = archive.getInputStream(entry)) {
      ByteBuffer bytes = ByteBuffer.wrap(in.readAllBytes()).order(ByteOrder.LITTLE_ENDIAN);
      int header = Short.toUnsignedInt(bytes.getShort(8));
      String text = new String(bytes.array(), 10, header, ISO_8859_1);
      if (!text.contains("'<f4'") || !text.contains("'fortran_order': False")) {
        throw new IOException(name + " is not as expected: " + text);
      }
      float[] values = new float[(bytes.limit() - 10 - header) / Float.BYTES];
      bytes
          .position(10 + header)
          .slice()
          .order(ByteOrder.LITTLE_ENDIAN)
          .asFloatBuffer()
          .get(values);
      return values;
    }
  }

  /** PyTorch multiplies by the transpose of what it keeps. */
  private static float[] transposed(float[] values, int rows, int columns) {
    float[] transposed = new float[values.length];
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        transposed[column * rows + row] = values[row * columns + column];
      }
    }
    return transposed;
  }
}

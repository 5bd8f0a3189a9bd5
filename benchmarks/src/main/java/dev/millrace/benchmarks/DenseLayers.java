package dev.millrace.benchmarks;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Random;

/**
 * INPUT0 FP32[-1,32] -> OUTPUT0 FP32[-1,32] for engines other than ONNX Runtime: as {@link
 * DenseModel} the same layers over every number, but with one layer of 240 by 240 again and again.
 * Some 55 million multiplications for 60,000 weights, about a millisecond of one CPU, in a batch or
 * alone.
 */
final class DenseLayers {
  static final String INPUT = "INPUT0";
  static final String OUTPUT = "OUTPUT0";
  static final int NUMBERS = 32;

  /** How often the middle one is applied. */
  static final int REPEATS = 30;

  static final Weights FIRST = new Weights("first", 1, 240, 1);
  static final Weights MIDDLE = new Weights("middle", 240, 240, 2);
  static final Weights LAST = new Weights("last", 240, 1, 3);
  static final List<Weights> ALL = List.of(FIRST, MIDDLE, LAST);

  private DenseLayers() {}

  /** A matrix that keeps values at the same magnitude from layer to layer; always the same. */
  record Weights(String name, int rows, int columns, long seed) {
    /** Little-endian FP32, row by row. */
    byte[] bytes() {
      Random random = new Random(seed);
      float scale = (float) Math.sqrt(6.0 / rows);
      ByteBuffer bytes =
          ByteBuffer.allocate(rows * columns * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      while (bytes.hasRemaining()) {
        bytes.putFloat((2 * random.nextFloat() - 1) * scale);
      }
      return bytes.array();
    }
  }
}

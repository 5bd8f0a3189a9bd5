package dev.millrace.benchmarks;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.testing.OnnxModelWriter;
import java.util.List;
import java.util.Random;

/**
 * INPUT0 FP32[-1,32] -> OUTPUT0 FP32[-1,32]: the same four dense layers over every number. The
 * weights are read again for each of the 32, so a row costs about the same alone as in a batch, and
 * batching has nothing to win: what is lost on the way to the engine shows.
 */
final class DenseModel {
  static final int NUMBERS = 32;

  private static final int[] WIDTHS = {1, 240, 240, 240, 1};

  private DenseModel() {}

  /** The ONNX file; always the same. */
  static byte[] file() {
    OnnxModelWriter writer =
        OnnxModelWriter.graph("dense")
            .input("INPUT0", DataType.FP32, "batch", NUMBERS)
            .output("OUTPUT0", DataType.FP32, "batch", NUMBERS)
            .constant("last", Shape.of(1), 2L)
            .node("Unsqueeze", List.of("INPUT0", "last"), List.of("value0"));
    Random random = new Random(1);
    for (int i = 0; i + 1 < WIDTHS.length; i++) {
      writer
          .constant("weights" + i, Shape.of(WIDTHS[i], WIDTHS[i + 1]), weights(random, i))
          .node("MatMul", List.of("value" + i, "weights" + i), List.of("product" + i))
          .node("Relu", List.of("product" + i), List.of("value" + (i + 1)));
    }
    return writer
        .node("Squeeze", List.of("value" + (WIDTHS.length - 1), "last"), List.of("OUTPUT0"))
        .toByteArray();
  }

  /** Weights that keep values at the same magnitude from layer to layer. */
  private static float[] weights(Random random, int layer) {
    float[] weights = new float[WIDTHS[layer] * WIDTHS[layer + 1]];
    float scale = (float) Math.sqrt(6.0 / WIDTHS[layer]);
    for (int i = 0; i < weights.length; i++) {
      weights[i] = (2 * random.nextFloat() - 1) * scale;
    }
    return weights;
  }
}

package dev.millrace.benchmarks;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.testing.OnnxModelWriter;
import dev.millrace.testing.OnnxModelWriter.Attribute;
import java.util.List;
import java.util.Random;

/**
 * INPUT0 FP32[-1,3,40,40] -> OUTPUT0 FP32[-1,32]: five layers of 32 filters of 3x3, then the mean
 * of each. Some 60 million multiplications for 20,000 weights, so a row alone already keeps the CPU
 * computing, and a batch has nothing to win.
 */
final class ConvolutionModel {
  static final Shape ROW = Shape.of(1, 3, 40, 40);

  private static final int LAYERS = 5;
  private static final int FILTERS = 32;

  private ConvolutionModel() {}

  /** The ONNX file; always the same. */
  static byte[] file() {
    OnnxModelWriter writer =
        OnnxModelWriter.graph("convolution")
            .input("INPUT0", DataType.FP32, "batch", ROW.dim(1), ROW.dim(2), ROW.dim(3))
            .output("OUTPUT0", DataType.FP32, "batch", FILTERS);
    Random random = new Random(1);
    String value = "INPUT0";
    int channels = (int) ROW.dim(1);
    for (int i = 0; i < LAYERS; i++) {
      writer
          .constant("filters" + i, Shape.of(FILTERS, channels, 3, 3), filters(random, channels))
          .node(
              "Conv",
              List.of(value, "filters" + i),
              List.of("sums" + i),
              Attribute.of("kernel_shape", 3L, 3L),
              Attribute.of("pads", 1L, 1L, 1L, 1L))
          .node("Relu", List.of("sums" + i), List.of("layer" + i));
      value = "layer" + i;
      channels = FILTERS;
    }
    return writer
        .node("GlobalAveragePool", List.of(value), List.of("means"))
        .node("Flatten", List.of("means"), List.of("OUTPUT0"), Attribute.of("axis", 1))
        .toByteArray();
  }

  /** Weights that keep values at the same magnitude from layer to layer. */
  private static float[] filters(Random random, int channels) {
    float[] weights = new float[FILTERS * channels * 9];
    float scale = (float) Math.sqrt(6.0 / (channels * 9));
    for (int i = 0; i < weights.length; i++) {
      weights[i] = (2 * random.nextFloat() - 1) * scale;
    }
    return weights;
  }
}

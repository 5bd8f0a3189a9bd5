package dev.millrace.testing;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.testing.OnnxModelWriter.Attribute;
import java.util.List;
import java.util.Random;

/** Small ONNX models for tests and benchmarks, as the bytes of their files; always the same. */
public final class OnnxModels {
  private OnnxModels() {}

  /** INPUT0 -> OUTPUT0, the same; dimensions as for {@link OnnxModelWriter}. */
  public static byte[] identity(DataType type, Object... dims) {
    return OnnxModelWriter.graph("identity")
        .input("INPUT0", type, dims)
        .output("OUTPUT0", type, dims)
        .node("Identity", List.of("INPUT0"), List.of("OUTPUT0"))
        .toByteArray();
  }

  /** INPUT0, INPUT1 INT32[-1,16] -> OUTPUT0 their sum, OUTPUT1 their difference. */
  public static byte[] simple() {
    return OnnxModelWriter.graph("simple")
        .input("INPUT0", DataType.INT32, "batch", 16)
        .input("INPUT1", DataType.INT32, "batch", 16)
        .output("OUTPUT0", DataType.INT32, "batch", 16)
        .output("OUTPUT1", DataType.INT32, "batch", 16)
        .node("Add", List.of("INPUT0", "INPUT1"), List.of("OUTPUT0"))
        .node("Sub", List.of("INPUT0", "INPUT1"), List.of("OUTPUT1"))
        .toByteArray();
  }

  /** As {@link #simple}, of numbers written as texts. */
  public static byte[] simpleString() {
    Attribute toNumber = Attribute.of("to", DataType.INT32);
    Attribute toText = Attribute.of("to", DataType.BYTES);
    return OnnxModelWriter.graph("simple_string")
        .input("INPUT0", DataType.BYTES, "batch", 16)
        .input("INPUT1", DataType.BYTES, "batch", 16)
        .output("OUTPUT0", DataType.BYTES, "batch", 16)
        .output("OUTPUT1", DataType.BYTES, "batch", 16)
        .node("Cast", List.of("INPUT0"), List.of("left"), toNumber)
        .node("Cast", List.of("INPUT1"), List.of("right"), toNumber)
        .node("Add", List.of("left", "right"), List.of("sum"))
        .node("Sub", List.of("left", "right"), List.of("difference"))
        .node("Cast", List.of("sum"), List.of("OUTPUT0"), toText)
        .node("Cast", List.of("difference"), List.of("OUTPUT1"), toText)
        .toByteArray();
  }

  /** INPUT0 BYTES[-1,-1] -> OUTPUT0, the same. */
  public static byte[] simpleIdentity() {
    return identity(DataType.BYTES, "batch", "length");
  }

  /**
   * Four inputs and outputs of four types and two ranks: flag BOOL[-1] -> not_flag, number
   * INT64[-1] -> twice, text BYTES[-1] -> same_text, vector FP32[-1,3] -> negated.
   */
  public static byte[] manyTypes() {
    return OnnxModelWriter.graph("many_types")
        .input("flag", DataType.BOOL, "batch")
        .input("number", DataType.INT64, "batch")
        .input("text", DataType.BYTES, "batch")
        .input("vector", DataType.FP32, "batch", 3)
        .output("not_flag", DataType.BOOL, "batch")
        .output("twice", DataType.INT64, "batch")
        .output("same_text", DataType.BYTES, "batch")
        .output("negated", DataType.FP32, "batch", 3)
        .node("Not", List.of("flag"), List.of("not_flag"))
        .node("Add", List.of("number", "number"), List.of("twice"))
        .node("Identity", List.of("text"), List.of("same_text"))
        .node("Neg", List.of("vector"), List.of("negated"))
        .toByteArray();
  }

  /**
   * A multi-layer perceptron: INPUT0 FP32[-1,sizes[0]] -> OUTPUT0 FP32[-1,sizes[last]], with
   * rectifiers between the layers and seeded random weights.
   */
  public static byte[] perceptron(int... sizes) {
    int layers = sizes.length - 1;
    OnnxModelWriter writer =
        OnnxModelWriter.graph("perceptron")
            .input("INPUT0", DataType.FP32, "batch", sizes[0])
            .output("OUTPUT0", DataType.FP32, "batch", sizes[layers]);
    Random random = new Random(1);
    String value = "INPUT0";
    for (int i = 0; i < layers; i++) {
      String product = i == layers - 1 ? "OUTPUT0" : "product" + i;
      writer
          .constant("weights" + i, Shape.of(sizes[i], sizes[i + 1]), weights(random, sizes, i))
          .node("MatMul", List.of(value, "weights" + i), List.of(product));
      if (i < layers - 1) {
        value = "layer" + i;
        writer.node("Relu", List.of(product), List.of(value));
      }
    }
    return writer.toByteArray();
  }

  /** Weights that keep values at the same magnitude from layer to layer. */
  private static float[] weights(Random random, int[] sizes, int layer) {
    float[] weights = new float[sizes[layer] * sizes[layer + 1]];
    float scale = (float) Math.sqrt(6.0 / sizes[layer]);
    for (int i = 0; i < weights.length; i++) {
      weights[i] = (2 * random.nextFloat() - 1) * scale;
    }
    return weights;
  }

  /** X, Y FP32[] -> SUM FP32[]: scalars. */
  public static byte[] scalars() {
    return OnnxModelWriter.graph("scalars")
        .input("X", DataType.FP32)
        .input("Y", DataType.FP32)
        .output("SUM", DataType.FP32)
        .node("Add", List.of("X", "Y"), List.of("SUM"))
        .toByteArray();
  }

  /** X FP32[-1,2], BIAS FP32[2] that is (10,20) when left out -> Y FP32[-1,2] = X + BIAS. */
  public static byte[] defaultInput() {
    return OnnxModelWriter.graph("default_input")
        .input("X", DataType.FP32, "batch", 2)
        .input("BIAS", DataType.FP32, 2)
        .constant("BIAS", Shape.of(2), 10, 20f)
        .output("Y", DataType.FP32, "batch", 2)
        .node("Add", List.of("X", "BIAS"), List.of("Y"))
        .toByteArray();
  }

  /** X FP32[-1] -> Y = X / 0: NaN for 0, an infinity for everything else. */
  public static byte[] notFinite() {
    return OnnxModelWriter.graph("not_finite")
        .input("X", DataType.FP32, "batch")
        .constant("ZERO", Shape.scalar(), 0f)
        .output("Y", DataType.FP32, "batch")
        .node("Div", List.of("X", "ZERO"), List.of("Y"))
        .toByteArray();
  }

  /** X FP32[-1,2] -> SUM FP32[2], the sum of all rows: not to be batched. */
  public static byte[] sumOfRows() {
    return OnnxModelWriter.graph("sum_of_rows")
        .input("X", DataType.FP32, "batch", 2)
        .constant("AXES", Shape.of(1), 0L)
        .output("SUM", DataType.FP32, 2)
        .node("ReduceSum", List.of("X", "AXES"), List.of("SUM"), Attribute.of("keepdims", 0L))
        .toByteArray();
  }

  /** INDEX INT64[-1] -> ROW FP32[-1,2], (0,1), (2,3) or (4,5); fails unless 0 <= INDEX < 3. */
  public static byte[] lookup() {
    return OnnxModelWriter.graph("lookup")
        .input("INDEX", DataType.INT64, "batch")
        .constant("TABLE", Shape.of(3, 2), 0, 1, 2, 3, 4, 5f)
        .output("ROW", DataType.FP32, "batch", 2)
        .node("Gather", List.of("TABLE", "INDEX"), List.of("ROW"))
        .toByteArray();
  }

  /**
   * ROUNDS INT64[-1] -> DONE INT64[-1], the same after as many rounds of a loop as the largest
   * says, each of a fraction of a microsecond: with large numbers a run does not end by itself.
   */
  public static byte[] rounds() {
    OnnxModelWriter round =
        OnnxModelWriter.graph("round")
            .input("number", DataType.INT64)
            .input("goes_on", DataType.BOOL)
            .input("before", DataType.INT64, "batch")
            .output("goes_on_then", DataType.BOOL)
            .output("after", DataType.INT64, "batch")
            .node("Identity", List.of("goes_on"), List.of("goes_on_then"))
            .node("Identity", List.of("before"), List.of("after"));
    return OnnxModelWriter.graph("rounds")
        .input("ROUNDS", DataType.INT64, "batch")
        .output("DONE", DataType.INT64, "batch")
        .node("ReduceMax", List.of("ROUNDS"), List.of("most"), Attribute.of("keepdims", 0L))
        .node("Loop", List.of("most", "", "ROUNDS"), List.of("DONE"), Attribute.of("body", round))
        .toByteArray();
  }

  /**
   * INDEX INT64[-1] -> LABEL INT64[-1], the same, and SCORES, a list of one map a row, as the
   * converters of scikit-learn's classifiers write it.
   */
  public static byte[] classifier() {
    return OnnxModelWriter.graph("classifier")
        .opset("ai.onnx.ml", 3)
        .input("INDEX", DataType.INT64, "batch")
        .constant("TABLE", Shape.of(3, 2), 0, 1, 2, 3, 4, 5f)
        .output("LABEL", DataType.INT64, "batch")
        .mapsOutput("SCORES")
        .node("Identity", List.of("INDEX"), List.of("LABEL"))
        .node("Gather", List.of("TABLE", "INDEX"), List.of("rows"))
        .node(
            "ai.onnx.ml",
            "ZipMap",
            List.of("rows"),
            List.of("SCORES"),
            Attribute.of("classlabels_int64s", 7L, 8L))
        .toByteArray();
  }
}

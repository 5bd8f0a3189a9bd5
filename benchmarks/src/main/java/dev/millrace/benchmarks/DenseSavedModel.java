package dev.millrace.benchmarks;

import dev.millrace.testing.ProtobufWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * {@link DenseLayers} as {@code saved_model.pb}. The numbers of the fields are those of
 * TensorFlow's {@code saved_model.proto}, {@code meta_graph.proto}, {@code graph.proto} and what
 * these import.
 */
final class DenseSavedModel {
  private static final int FLOAT = 1;
  private static final int INT32 = 3;

  /** The version of graphs that TensorFlow 2.18 writes. */
  private static final int PRODUCER = 1882;

  private final ProtobufWriter graph = new ProtobufWriter();

  private DenseSavedModel() {}

  /** The file; always the same. */
  static byte[] file() {
    return new DenseSavedModel().write();
  }

  private byte[] write() {
    node(
        "x",
        "Placeholder",
        Map.of(
            "dtype",
            type(FLOAT),
            "shape",
            attribute -> attribute.message(7, shape(-1, DenseLayers.NUMBERS))));
    constant("column", INT32, shape(2), integers(-1, 1));
    constant("row", INT32, shape(2), integers(-1, DenseLayers.NUMBERS));
    for (DenseLayers.Weights weights : DenseLayers.ALL) {
      constant(weights.name(), FLOAT, shape(weights.rows(), weights.columns()), weights.bytes());
    }
    reshape("value", "x", "column");
    String value = layer("value", DenseLayers.FIRST, 0);
    for (int i = 1; i <= DenseLayers.REPEATS; i++) {
      value = layer(value, DenseLayers.MIDDLE, i);
    }
    multiply("sums", value, DenseLayers.LAST);
    reshape("y", "sums", "row");
    graph.message(4, versions -> versions.integer(1, PRODUCER));
    return new ProtobufWriter()
        .integer(1, 1)
        .message(
            2,
            metaGraph ->
                metaGraph
                    .message(1, info -> info.string(4, "serve").string(5, "2.18.0"))
                    .bytes(2, graph.toByteArray())
                    .message(
                        5,
                        entry ->
                            entry
                                .string(1, "serving_default")
                                .message(2, DenseSavedModel::signature)))
        .toByteArray();
  }

  private static void signature(ProtobufWriter signature) {
    signature
        .message(1, entry -> entry.string(1, DenseLayers.INPUT).message(2, tensor("x:0")))
        .message(2, entry -> entry.string(1, DenseLayers.OUTPUT).message(2, tensor("y:0")))
        .string(3, "tensorflow/serving/predict");
  }

  private static Consumer<ProtobufWriter> tensor(String name) {
    return info ->
        info.string(1, name).integer(2, FLOAT).message(3, shape(-1, DenseLayers.NUMBERS));
  }

  /** Adds a layer and returns the name of what it gives. */
  private String layer(String input, DenseLayers.Weights weights, int number) {
    String product = "product" + number;
    String output = "layer" + number;
    multiply(product, input, weights);
    node(output, "Relu", Map.of("T", type(FLOAT)), product);
    return output;
  }

  private void multiply(String name, String input, DenseLayers.Weights weights) {
    node(name, "MatMul", Map.of("T", type(FLOAT)), input, weights.name());
  }

  private void reshape(String name, String input, String shape) {
    node(name, "Reshape", Map.of("T", type(FLOAT), "Tshape", type(INT32)), input, shape);
  }

  private void constant(String name, int type, Consumer<ProtobufWriter> shape, byte[] values) {
    node(
        name,
        "Const",
        Map.of(
            "dtype",
            type(type),
            "value",
            attribute ->
                attribute.message(
                    8, tensor -> tensor.integer(1, type).message(2, shape).bytes(4, values))));
  }

  private void node(
      String name, String op, Map<String, Consumer<ProtobufWriter>> attributes, String... inputs) {
    graph.message(
        1,
        node -> {
          node.string(1, name).string(2, op);
          for (String input : inputs) {
            node.string(3, input);
          }
          new TreeMap<>(attributes)
              .forEach(
                  (key, value) -> node.message(5, entry -> entry.string(1, key).message(2, value)));
        });
  }

  private static Consumer<ProtobufWriter> type(int number) {
    return attribute -> attribute.integer(6, number);
  }

  private static Consumer<ProtobufWriter> shape(long... dims) {
    return shape -> {
      for (long dim : dims) {
        shape.message(2, size -> size.integer(1, dim));
      }
    };
  }

  private static byte[] integers(int... values) {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    for (int value : values) {
      bytes.putInt(value);
    }
    return bytes.array();
  }
}

package dev.millrace.backend.tensorflow;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Writes {@code examples/half_plus_two}, the model of TensorFlow Serving's own examples: y = x/2 +
 * 2, with the signatures {@code serving_default}, {@code classify_x_to_y} and {@code
 * regress_x_to_y}. Its variables a and b are restored from a checkpoint, which TensorFlow writes.
 */
final class HalfPlusTwo {
  private static final Shape VECTOR = Shape.of(-1);

  private HalfPlusTwo() {}

  /** The graph; x is what a client gives, or a feature of the examples that it gives. */
  static SavedModelWriter graph() {
    Map<String, ?> floats = Map.of("T", DataType.FP32);
    return new SavedModelWriter()
        .variable("a", DataType.FP32, Shape.scalar())
        .variable("b", DataType.FP32, Shape.scalar())
        .placeholder("tf_example", DataType.BYTES, VECTOR)
        .constant("example/names", SavedModelWriter.texts(List.of()))
        .constant("example/sparse_keys", SavedModelWriter.texts(List.of()))
        .constant("example/dense_keys", SavedModelWriter.texts(List.of("x")))
        .constant("example/ragged_keys", SavedModelWriter.texts(List.of()))
        .constant("example/default", SavedModelWriter.floats(Shape.scalar(), 0))
        .node(
            "example/parse",
            "ParseExampleV2",
            List.of(
                "tf_example",
                "example/names",
                "example/sparse_keys",
                "example/dense_keys",
                "example/ragged_keys",
                "example/default"),
            Map.of(
                "Tdense", List.of(DataType.FP32),
                "dense_shapes", List.of(Shape.scalar()),
                "num_sparse", 0,
                "sparse_types", List.of(),
                "ragged_value_types", List.of(),
                "ragged_split_types", List.of()))
        .node("x", "Identity", List.of("example/parse"), floats)
        .node("product", "Mul", List.of("a/read", "x"), floats)
        .node("y", "AddV2", List.of("product", "b/read"), floats)
        .constant("column", SavedModelWriter.floats(Shape.of(2), -1, 1))
        .node(
            "column/int",
            "Cast",
            List.of("column"),
            Map.of("SrcT", DataType.FP32, "DstT", DataType.INT32))
        .node(
            "scores",
            "Reshape",
            List.of("y", "column/int"),
            Map.of("T", DataType.FP32, "Tshape", DataType.INT32))
        .restoring(List.of("a", "b"))
        .signature(
            "serving_default",
            signature ->
                signature
                    .input("x", "x:0", DataType.FP32, VECTOR)
                    .output("y", "y:0", DataType.FP32, VECTOR))
        .signature(
            "classify_x_to_y",
            "tensorflow/serving/classify",
            signature ->
                signature
                    .input("inputs", "tf_example:0", DataType.BYTES, VECTOR)
                    .output("scores", "scores:0", DataType.FP32, Shape.of(-1, 1)))
        .signature(
            "regress_x_to_y",
            "tensorflow/serving/regress",
            signature ->
                signature
                    .input("inputs", "tf_example:0", DataType.BYTES, VECTOR)
                    .output("outputs", "y:0", DataType.FP32, VECTOR));
  }

  /** A model that writes its FP32 inputs a and b into a checkpoint. */
  private static SavedModelWriter checkpointWriter() {
    return new SavedModelWriter()
        .placeholder("prefix", DataType.BYTES, Shape.scalar())
        .placeholder("a", DataType.FP32, Shape.scalar())
        .placeholder("b", DataType.FP32, Shape.scalar())
        .constant("names", SavedModelWriter.texts(List.of("a", "b")))
        .constant("slices", SavedModelWriter.texts(List.of("", "")))
        .node(
            "save",
            "SaveV2",
            List.of("prefix", "names", "slices", "a", "b"),
            Map.of("dtypes", List.of(DataType.FP32, DataType.FP32)))
        .node("saved", "Identity", List.of("prefix", "^save"), Map.of("T", DataType.BYTES))
        .signature(
            "serving_default",
            signature ->
                signature
                    .input("prefix", "prefix:0", DataType.BYTES, Shape.scalar())
                    .input("a", "a:0", DataType.FP32, Shape.scalar())
                    .input("b", "b:0", DataType.FP32, Shape.scalar())
                    .output("saved", "saved:0", DataType.BYTES, Shape.scalar()));
  }

  /** Writes the model into a directory. */
  static Path write(Path directory) throws IOException {
    graph().write(directory);
    Path variables = Files.createDirectories(directory.resolve(SavedModelDirectory.VARIABLES));
    Path scratch = Files.createTempDirectory("checkpoint-writer");
    try (TensorFlowFixture writer = TensorFlowFixture.of(scratch, checkpointWriter())) {
      // The single shard has the name that the loader looks for.
      Path prefix = variables.resolve("variables");
      writer
          .predict(
              TensorMap.builder()
                  .put("prefix", Tensor.copyOf(Shape.scalar(), prefix.toString()))
                  .put("a", Tensor.copyOf(Shape.scalar(), 0.5f))
                  .put("b", Tensor.copyOf(Shape.scalar(), 2f))
                  .build())
          .close();
    } finally {
      try (Stream<Path> files = Files.walk(scratch)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
    return directory;
  }

  /**
   * Writes the example.
   *
   * @param args the directory of the examples
   */
  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      throw new IllegalArgumentException("expected one argument, the directory of the examples");
    }
    write(Path.of(args[0], "half_plus_two", "1"));
  }
}

package dev.millrace.backend.tensorflow;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import java.util.List;
import java.util.Map;

/** Small models for tests. */
final class SavedModels {
  static final String DEFAULT = "serving_default";

  private SavedModels() {}

  /** INPUT0 -> OUTPUT0, the same. */
  static SavedModelWriter identity(DataType type, Shape shape) {
    return new SavedModelWriter()
        .placeholder("x", type, shape)
        .node("y", "Identity", List.of("x"), Map.of("T", type))
        .signature(
            DEFAULT,
            signature ->
                signature
                    .input("INPUT0", "x:0", type, shape)
                    .output("OUTPUT0", "y:0", type, shape));
  }

  /** INPUT0, INPUT1 INT32[-1,16] -> OUTPUT0 their sum, OUTPUT1 their difference. */
  static SavedModelWriter simple() {
    DataType type = DataType.INT32;
    Shape shape = Shape.of(-1, 16);
    return new SavedModelWriter()
        .placeholder("a", type, shape)
        .placeholder("b", type, shape)
        .node("sum", "AddV2", List.of("a", "b"), Map.of("T", type))
        .node("difference", "Sub", List.of("a", "b"), Map.of("T", type))
        .signature(
            DEFAULT,
            signature ->
                signature
                    .input("INPUT0", "a:0", type, shape)
                    .input("INPUT1", "b:0", type, shape)
                    .output("OUTPUT0", "sum:0", type, shape)
                    .output("OUTPUT1", "difference:0", type, shape));
  }

  /** INDEX INT64[-1] -> ROW FP32[-1,2], rows of a table of three. */
  static SavedModelWriter lookup() {
    return new SavedModelWriter()
        .placeholder("index", DataType.INT64, Shape.of(-1))
        .constant("table", SavedModelWriter.floats(Shape.of(3, 2), 0, 1, 2, 3, 4, 5))
        .constant("axis", SavedModelWriter.floats(Shape.scalar(), 0))
        .node(
            "axis_int",
            "Cast",
            List.of("axis"),
            Map.of("SrcT", DataType.FP32, "DstT", DataType.INT32))
        .node(
            "row",
            "GatherV2",
            List.of("table", "index", "axis_int"),
            Map.of("Tparams", DataType.FP32, "Tindices", DataType.INT64, "Taxis", DataType.INT32))
        .signature(
            DEFAULT,
            signature ->
                signature
                    .input("INDEX", "index:0", DataType.INT64, Shape.of(-1))
                    .output("ROW", "row:0", DataType.FP32, Shape.of(-1, 2)));
  }

  /** Keeps VALUE in a variable: signature {@code put} sets it, {@code get} reads it. */
  static SavedModelWriter memory(DataType type) {
    return new SavedModelWriter()
        .placeholder("x", type, Shape.ANY_RANK)
        .variable("v", type, Shape.ANY_RANK)
        .node("assign", "AssignVariableOp", List.of("v", "x"), Map.of("dtype", type))
        .node("done", "Identity", List.of("x", "^assign"), Map.of("T", type))
        .signature(
            "put",
            signature ->
                signature
                    .input("VALUE", "x:0", type, Shape.ANY_RANK)
                    .output("SAME", "done:0", type, Shape.ANY_RANK))
        .signature("get", signature -> signature.output("VALUE", "v/read:0", type, Shape.ANY_RANK));
  }
}

package dev.millrace.transformers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** The steps that rearrange numbers and names. */
@ExtendWith(TensorLeakExtension.class)
class StepsTest {
  private static TensorSpec spec(String name, DataType type, long... dims) {
    return new TensorSpec(name, type, Shape.of(dims));
  }

  private static ModelMetadata takes(TensorSpec... inputs) {
    return Chains.model(List.of(inputs), List.of());
  }

  private static ModelMetadata gives(TensorSpec... outputs) {
    return Chains.model(List.of(), List.of(outputs));
  }

  private static Tensor tensor(TensorMap tensors, String name) {
    return Objects.requireNonNull(tensors.get(name), name);
  }

  @FunctionalInterface
  private interface Check {
    void check(TensorMap tensors);
  }

  private static void pre(Transformer step, TensorMap inputs, Check check) {
    InferenceRequest request = Chains.request(inputs);
    try {
      request = step.preprocess(request);
      check.check(request.inputs());
    } finally {
      request.close();
    }
  }

  private static void post(Transformer step, TensorMap outputs, Check check) {
    InferenceResponse response = Chains.response(outputs);
    try (InferenceRequest request = Chains.request(TensorMap.empty())) {
      response = step.postprocess(request, response);
      check.check(response.outputs());
    } finally {
      response.close();
    }
  }

  private static void refuses(Transformer step, TensorMap inputs, String message) {
    assertThatThrownBy(() -> pre(step, inputs, made -> {}))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining(message);
  }

  @Test
  void scale_shiftsDividesAndClips_inputsAndOutputs() {
    try (Transformer step =
        Chains.step(
            new Scale(),
            Map.of(
                "subtract",
                List.of(1, 2),
                "divide",
                List.of(2, 4),
                "max",
                10,
                "datatype",
                "int32"))) {
      assertThat(step.describe(takes(spec("x", DataType.FP32, -1, 2))).inputs())
          .containsExactly(spec("x", DataType.INT32, -1, 2));
      pre(
          step,
          TensorMap.of("x", Tensor.copyOf(Shape.of(2, 2), 3, 10, 101, 2)),
          made -> assertThat(made.tensor(0).toFloats()).containsExactly(1, 2, 10, 0));
    }
    try (Transformer step = Chains.step(new Scale(), Map.of("output", "y", "divide", 0.5))) {
      step.describe(gives(spec("y", DataType.FP64, -1)));
      post(
          step,
          TensorMap.of("y", Tensor.copyOf(Shape.of(2), 1.0, 2.0)),
          made -> assertThat(made.tensor(0).toFloats()).containsExactly(2, 4));
    }
    assertThatThrownBy(() -> Chains.step(new Scale(), Map.of("divide", 0)))
        .hasMessage("model.yaml: divide: expected numbers other than 0, got '0.0'");
    try (Transformer step = Chains.step(new Scale(), Map.of("subtract", List.of(1, 2, 3)))) {
      assertThatThrownBy(() -> step.describe(takes(spec("x", DataType.FP32, -1, 2))))
          .hasMessageContaining("3 numbers for the last dimension of 'x', which is [-1,2]");
    }
  }

  @Test
  void oneHot_makesRowsOrNumbers() {
    Map<String, Object> labels = Map.of("labels", List.of("red", "green"));
    try (Transformer step = Chains.step(new OneHot(), labels)) {
      assertThat(step.describe(takes(spec("c", DataType.FP32, -1, 2))).inputs())
          .containsExactly(spec("c", DataType.BYTES, -1));
      pre(
          step,
          TensorMap.of("c", Tensor.copyOf(Shape.of(2), "green", "red")),
          made -> assertThat(made.tensor(0).toFloats()).containsExactly(0, 1, 1, 0));
      refuses(
          step,
          TensorMap.of("c", Tensor.copyOf(Shape.of(1), "blue")),
          "'c' in row 0: expected one of [red, green], got 'blue'");
    }
    try (Transformer step =
        Chains.step(
            new OneHot(), Map.of("labels", List.of("a", "b"), "index", true, "unknown", "zeros"))) {
      step.describe(takes(spec("c", DataType.INT64, -1)));
      pre(
          step,
          TensorMap.of("c", Tensor.copyOf(Shape.of(2), "b", "z")),
          made -> assertThat(made.tensor(0).toLongs()).containsExactly(1, -1));
    }
    try (Transformer step = Chains.step(new OneHot(), Map.of())) {
      step.describe(takes(spec("c", DataType.FP32, -1, 3)));
      pre(
          step,
          TensorMap.of("c", Tensor.copyOf(Shape.of(1), 2L)),
          made -> assertThat(made.tensor(0).toFloats()).containsExactly(0, 0, 1));
      refuses(step, TensorMap.of("c", Tensor.copyOf(Shape.of(1), 3L)), "expected 0 to 2, got 3");
    }
  }

  @Test
  void labels_nameClasses(@TempDir Path directory) throws IOException {
    Files.writeString(directory.resolve("names.txt"), "cat\ndog\n\n");
    try (Transformer step =
        Chains.step(new Labels(), Map.of("labels-file", "names.txt"), directory)) {
      assertThat(step.describe(gives(spec("y", DataType.INT64, -1))).outputs())
          .containsExactly(spec("y", DataType.BYTES, -1));
      post(
          step,
          TensorMap.of("y", Tensor.copyOf(Shape.of(3), 1L, 0L, 7L)),
          made -> assertThat(made.tensor(0).toStrings()).containsExactly("dog", "cat", "7"));
    }
  }

  @Test
  void rename_worksBothWays() {
    try (Transformer step =
        Chains.step(
            new Rename(),
            Map.of("inputs", Map.of("input.1", "image"), "outputs", Map.of("495", "scores")))) {
      ModelMetadata outer =
          step.describe(
              Chains.model(
                  List.of(spec("input.1", DataType.FP32, -1)),
                  List.of(spec("495", DataType.FP32, -1))));
      assertThat(outer.inputs()).containsExactly(spec("image", DataType.FP32, -1));
      assertThat(outer.outputs()).containsExactly(spec("scores", DataType.FP32, -1));
      pre(
          step,
          TensorMap.of("image", Tensor.copyOf(Shape.of(1), 1f)),
          made -> assertThat(made.names()).containsExactly("input.1"));
      post(
          step,
          TensorMap.of("495", Tensor.copyOf(Shape.of(1), 1f)),
          made -> assertThat(made.names()).containsExactly("scores"));
      assertThatThrownBy(() -> step.describe(takes(spec("x", DataType.FP32, -1))))
          .hasMessage("there is no input 'input.1'; there is x");
    }
  }

  @Test
  void select_keepsSome_andAsksForThemOnly() {
    try (Transformer step = Chains.step(new Select(), Map.of("outputs", List.of("b")))) {
      assertThat(
              step.describe(gives(spec("a", DataType.FP32, -1), spec("b", DataType.FP32, -1)))
                  .outputs())
          .containsExactly(spec("b", DataType.FP32, -1));
      try (InferenceRequest request = step.preprocess(Chains.request(TensorMap.empty()))) {
        assertThat(request.requestedOutputs()).containsExactly("b");
      }
      post(
          step,
          TensorMap.of("a", Tensor.copyOf(Shape.of(1), 1f), "b", Tensor.copyOf(Shape.of(1), 2f)),
          made -> assertThat(made.names()).containsExactly("b"));
    }
  }

  @Test
  void cast_changesDatatypes() {
    try (Transformer step =
        Chains.step(
            new Cast(), Map.of("inputs", Map.of("x", "uint8"), "outputs", Map.of("y", "INT32")))) {
      ModelMetadata outer =
          step.describe(
              Chains.model(
                  List.of(spec("x", DataType.FP16, -1)), List.of(spec("y", DataType.FP32, -1))));
      assertThat(outer.inputs()).containsExactly(spec("x", DataType.UINT8, -1));
      assertThat(outer.outputs()).containsExactly(spec("y", DataType.INT32, -1));
      pre(
          step,
          TensorMap.of("x", Numbers.of(DataType.UINT8, Shape.of(2), new long[] {1, 255})),
          made -> {
            assertThat(made.tensor(0).dataType()).isEqualTo(DataType.FP16);
            assertThat(Numbers.toFloats(made.tensor(0))).containsExactly(1, 255);
          });
      post(
          step,
          TensorMap.of("y", Tensor.copyOf(Shape.of(2), 1.9f, -1.9f)),
          made -> assertThat(made.tensor(0).toInts()).containsExactly(1, -1));
    }
  }

  @Test
  void numbers_ofEveryType_comeBack() {
    for (DataType type : DataType.values()) {
      if (type == DataType.BYTES) {
        continue;
      }
      try (Tensor tensor = Numbers.of(type, Shape.of(3), new float[] {0, 1, 1});
          Tensor wide = Numbers.cast(tensor, DataType.FP64);
          Tensor back = Numbers.cast(wide, type)) {
        assertThat(Numbers.toFloats(back)).as("%s", type).containsExactly(0, 1, 1);
        assertThat(Numbers.toLongs(tensor)).as("%s", type).containsExactly(0, 1, 1);
      }
    }
    try (Tensor large = Tensor.copyOf(Shape.of(1), Long.MAX_VALUE);
        Tensor unsigned = Numbers.cast(large, DataType.UINT64);
        Tensor brain =
            Numbers.of(DataType.BF16, Shape.of(2), new float[] {1 + 1f / 256, Float.NaN})) {
      assertThat(unsigned.toLongs()).containsExactly(Long.MAX_VALUE);
      assertThat(Numbers.toFloats(brain)).containsExactly(1f, Float.NaN);
    }
  }

  @Test
  void reshape_keepsElements() {
    try (Transformer step =
        Chains.step(
            new Reshape(),
            Map.of(
                "inputs",
                Map.of("x", List.of(-1, 4)),
                "outputs",
                Map.of("y", List.of(-1, 2, -1))))) {
      ModelMetadata outer =
          step.describe(
              Chains.model(
                  List.of(spec("x", DataType.FP32, -1, 1, 2, 2)),
                  List.of(spec("y", DataType.FP32, -1, 6))));
      assertThat(outer.inputs()).containsExactly(spec("x", DataType.FP32, -1, 4));
      pre(
          step,
          TensorMap.of("x", Tensor.copyOf(Shape.of(2, 4), 1f, 2, 3, 4, 5, 6, 7, 8)),
          made -> {
            assertThat(made.tensor(0).shape()).isEqualTo(Shape.of(2, 1, 2, 2));
            assertThat(made.tensor(0).toFloats()).containsExactly(1, 2, 3, 4, 5, 6, 7, 8);
          });
      post(
          step,
          TensorMap.of("y", Tensor.copyOf(Shape.of(1, 6), new float[6])),
          made -> assertThat(made.tensor(0).shape()).isEqualTo(Shape.of(1, 2, 3)));
    }
  }

  @Test
  void softmax_addsUpToOne_alsoForLargeScores() {
    try (Transformer step = Chains.step(new Softmax(), Map.of())) {
      step.describe(gives(spec("y", DataType.FP32, -1, 2)));
      post(
          step,
          TensorMap.of("y", Tensor.copyOf(Shape.of(2, 2), 1000f, 1000f, 0f, (float) Math.log(3))),
          made ->
              assertThat(made.tensor(0).toFloats())
                  .containsExactly(new float[] {0.5f, 0.5f, 0.25f, 0.75f}, Offset.offset(1e-6f)));
    }
  }

  @Test
  void topK_isInOrder_withNames() {
    try (Transformer step =
        Chains.step(new TopK(), Map.of("k", 3, "labels", List.of("a", "b", "c", "d")))) {
      assertThat(step.describe(gives(spec("y", DataType.FP32, -1, 4))).outputs())
          .containsExactly(
              spec("scores", DataType.FP32, -1, 3),
              spec("classes", DataType.INT64, -1, 3),
              spec("labels", DataType.BYTES, -1, 3));
      post(
          step,
          TensorMap.of(
              "y", Tensor.copyOf(Shape.of(2, 4), 1f, 4f, 4f, 2f, Float.NaN, -1f, Float.NaN, -2f)),
          made -> {
            assertThat(tensor(made, "classes").toLongs()).containsExactly(1, 2, 3, 1, 3, 0);
            assertThat(tensor(made, "labels").toStrings())
                .containsExactly("b", "c", "d", "b", "d", "a");
            assertThat(tensor(made, "scores").toFloats())
                .containsExactly(4, 4, 2, -1, -2, Float.NaN);
          });
    }
  }

  @Test
  void columns_mapFeaturesToAMatrix_andBack() {
    Map<String, Object> options =
        Map.of(
            "features",
            List.of(
                "age",
                Map.of("name", "income", "datatype", "FP64", "default", 5),
                Map.of("name", "city", "categories", List.of("Rome", "Oslo"))),
            "results",
            List.of("no", "yes"));
    try (Transformer step = Chains.step(new Columns(), options)) {
      ModelMetadata outer =
          step.describe(
              Chains.model(
                  List.of(spec("x", DataType.FP32, -1, 3)),
                  List.of(spec("p", DataType.FP32, -1, 2))));
      assertThat(outer.inputs())
          .containsExactly(
              spec("age", DataType.FP32, -1),
              new TensorSpec("income", DataType.FP64, Shape.of(-1), true),
              spec("city", DataType.BYTES, -1));
      assertThat(outer.outputs())
          .containsExactly(spec("no", DataType.FP32, -1), spec("yes", DataType.FP32, -1));
      pre(
          step,
          TensorMap.of(
              "age", Tensor.copyOf(Shape.of(2), 31f, 32f),
              "city", Tensor.copyOf(Shape.of(2), "Oslo", "Rome")),
          made -> {
            assertThat(tensor(made, "x").shape()).isEqualTo(Shape.of(2, 3));
            assertThat(tensor(made, "x").toFloats()).containsExactly(31, 5, 1, 32, 5, 0);
          });
      post(
          step,
          TensorMap.of("p", Tensor.copyOf(Shape.of(2, 2), 0.1f, 0.9f, 0.8f, 0.2f)),
          made -> {
            assertThat(tensor(made, "no").toFloats()).containsExactly(0.1f, 0.8f);
            assertThat(tensor(made, "yes").toFloats()).containsExactly(0.9f, 0.2f);
          });
      refuses(
          step,
          TensorMap.of(
              "age", Tensor.copyOf(Shape.of(1), 31f), "city", Tensor.copyOf(Shape.of(1), "Bonn")),
          "'city' in row 0: expected one of [Oslo, Rome], got 'Bonn'");
      refuses(
          step,
          TensorMap.of(
              "age", Tensor.copyOf(Shape.of(1), 31f),
              "city", Tensor.copyOf(Shape.of(2), "Oslo", "Oslo")),
          "'city' has 2 rows, and the features before it 1");
    }
    assertThatThrownBy(() ->
            Chains.step(
                new Columns(), Map.of("features", List.of(Map.of("nme", "a", "name", "b")))))
        .hasMessageContaining("unknown key 'features[0].nme'; did you mean 'name'?");
  }
}

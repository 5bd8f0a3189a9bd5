package dev.millrace.backend.python;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
class PythonTransformerTest {
  private static final ModelId MODEL = new ModelId("around", "1");

  private static final List<TensorSpec> ONE =
      List.of(new TensorSpec("x", DataType.FP32, Shape.of(-1, 2)));

  private static final List<TensorSpec> TWO =
      List.of(
          new TensorSpec("ids", DataType.INT64, Shape.of(-1, 2)),
          new TensorSpec("name", DataType.BYTES, Shape.of(-1)));

  @TempDir Path directory;

  @BeforeAll
  static void requirePython() {
    PythonFixture.requirePython();
  }

  private PythonTransformer transformer(
      String script, Map<String, Object> settings, List<TensorSpec> inner) {
    PythonFixture.write(directory, "transformer-mine.py", script);
    PythonTransformer transformer =
        PythonTransformer.of(MODEL, List.of(directory), Settings.of("model.yaml", settings));
    transformer.start(inner);
    return transformer;
  }

  private static InferenceRequest request(TensorMap inputs) {
    return new InferenceRequest(
        "7",
        MODEL,
        inputs,
        List.of(),
        Parameters.copyOf(Map.of("header.x-user", "ann", "top", 2)),
        Deadline.none());
  }

  private static final String FEATURES =
      """
      class Transformer:
          def preprocess(self, inputs, headers=None):
              assert headers["x-user"] == "ann", headers
              rows = inputs["instances"]
              return {"instances": [[row["a"], inputs["top"]] for row in rows]}
          def postprocess(self, outputs):
              return [{"score": row[0]} for row in outputs]
      """;

  @Test
  void rows_becomeTheInputsThatTheModelDeclares() {
    try (PythonTransformer transformer = transformer(FEATURES, Map.of(), ONE);
        InferenceRequest prepared =
            transformer.preprocess(request(PythonFixture.rows("{\"a\": 5}", "{\"a\": 6.5}")))) {
      assertThat(prepared.inputs().toString()).isEqualTo("{x=FP32[2,2]}");
      assertThat(prepared.inputs().tensor(0).toFloats()).containsExactly(5, 2, 6.5f, 2);
      TensorMap outputs = TensorMap.of("y", Tensor.copyOf(Shape.of(2, 1), 0.5f, 0.25f));
      try (InferenceResponse response =
          transformer.postprocess(
              prepared, new InferenceResponse("7", MODEL, outputs, Parameters.empty()))) {
        assertThat(response.outputs().name(0)).isEqualTo("predictions");
        assertThat(response.outputs().tensor(0).toStrings())
            .containsExactly("{\"score\":0.5}", "{\"score\":0.25}");
      }
    }
  }

  @Test
  void dicts_becomeTheInputsOfTheirNames() {
    String script =
        """
        class Transformer:
            async def preprocess(self, inputs):
                return [{"name": row, "ids": [len(row), 0]} for row in inputs["instances"]]
        """;
    try (PythonTransformer transformer = transformer(script, Map.of(), TWO);
        InferenceRequest prepared =
            transformer.preprocess(request(PythonFixture.rows("\"ab\"", "\"c\"")))) {
      assertThat(prepared.inputs().toString()).isEqualTo("{ids=INT64[2,2], name=BYTES[2]}");
      assertThat(prepared.inputs().tensor(0).toLongs()).containsExactly(2, 0, 1, 0);
      assertThat(prepared.inputs().tensor(1).toStrings()).containsExactly("ab", "c");
      TensorMap outputs = TensorMap.of("y", Tensor.copyOf(Shape.of(1), 3f));
      try (InferenceResponse response =
          transformer.postprocess(
              prepared, new InferenceResponse("7", MODEL, outputs, Parameters.empty()))) {
        assertThat(response.outputs().toString()).isEqualTo("{y=FP32[1]}");
      }
    }
  }

  @Test
  void theOlderGeneration_makesTheBody() {
    String script =
        """
        class Transformer(object):
            def preprocess(self, inputs):
                return {"inputs": inputs["inputs"][0]}
            def postprocess(self, outputs):
                return {"ranking": sorted(outputs["predictions"])}
        """;
    try (PythonTransformer transformer =
            transformer(script, Map.of("envelope", "raw", "instances", 1), ONE);
        InferenceRequest prepared =
            transformer.preprocess(
                request(TensorMap.of("inputs", Tensor.copyOf(Shape.of(1), "[[1, 2]]"))))) {
      assertThat(prepared.inputs().tensor(0).toFloats()).containsExactly(1, 2);
      TensorMap outputs = TensorMap.of("y", Tensor.copyOf(Shape.of(2), 3f, 1f));
      try (InferenceResponse response =
          transformer.postprocess(
              prepared, new InferenceResponse("7", MODEL, outputs, Parameters.empty()))) {
        assertThat(response.outputs().toString()).isEqualTo("{response=BYTES[]}");
        assertThat(response.outputs().tensor(0).toStrings())
            .containsExactly("{\"ranking\":[1.0,3.0]}");
      }
    }
  }

  @Test
  void aStepThatRaises_leavesTheTensorsToTheCaller() {
    String script =
        """
        class Transformer:
            def preprocess(self, inputs):
                raise KeyError("customer")
            def postprocess(self, outputs):
                return outputs
        """;
    try (PythonTransformer transformer = transformer(script, Map.of(), ONE);
        InferenceRequest request = request(PythonFixture.rows("1"))) {
      assertThatThrownBy(() -> transformer.preprocess(request)).hasMessage("KeyError: 'customer'");
      assertThat(request.inputs().tensor(0).isClosed()).isFalse();
    }
  }

  @Test
  void aMissingScript_isNamed() {
    assertThatThrownBy(() ->
            PythonTransformer.of(
                MODEL, List.of(directory), Settings.of("model.yaml", Map.of("script", "no.py"))))
        .hasMessage("model.yaml: there is no script no.py in [%s]".formatted(directory));
  }

  @Test
  void whatTheModelCannotTake_isNamed() {
    String script =
        """
        class Transformer:
            def preprocess(self, inputs):
                return {"instances": [[1, 2, 3]]}
        """;
    try (PythonTransformer transformer = transformer(script, Map.of(), ONE);
        InferenceRequest request = request(PythonFixture.rows("1"))) {
      assertThatThrownBy(() -> transformer.preprocess(request))
          .hasMessage("output 'x' is declared FP32[-1, 2], but the script gave FP32[1, 3]");
    }
  }
}

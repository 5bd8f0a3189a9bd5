package dev.millrace.backend.python;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Scripts that compute with arrays; where Python has no NumPy they are not run. */
@ExtendWith(TensorLeakExtension.class)
class NumpyTest {
  private static final Map<String, Object> TENSORS = Map.of("inputs-as", "tensors");

  @TempDir Path directory;

  @BeforeAll
  static void requireNumpy() {
    PythonFixture.requireNumpy();
  }

  private static TensorMap floats(int rows, int columns, float first) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = first + i;
    }
    return TensorMap.of("x", Tensor.copyOf(Shape.of(rows, columns), values));
  }

  @Test
  void largeArrays_areOverTheMemoryThatTheServerWrote() {
    String script =
        """
        import numpy as np
        class Predictor:
            def predict(self, inputs):
                x = inputs["x"]
                assert not x.flags.owndata and not x.flags.writeable
                return {"twice": x * 2, "rows": np.arange(len(x)), "same": x}
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script, 1, TENSORS)) {
      for (int rows : List.of(1, 150, 2)) {
        try (TensorMap inputs = floats(rows, 1000, rows);
            TensorMap outputs = fixture.predictor.predict(inputs, List.of())) {
          assertThat(outputs.names()).containsExactly("twice", "rows", "same");
          float[] expected = inputs.tensor(0).toFloats();
          assertThat(outputs.tensor(2).toFloats()).isEqualTo(expected);
          assertThat(outputs.tensor(0).toFloats()[rows * 1000 - 1])
              .isEqualTo(2 * expected[rows * 1000 - 1]);
          assertThat(outputs.tensor(1).toString()).isEqualTo("INT64[" + rows + "]");
        }
      }
    }
  }

  @Test
  void arraysThatAScriptKeeps_keepTheirValues() {
    String script =
        """
        class Predictor:
            def __init__(self):
                self.kept = []
            def predict(self, inputs):
                self.kept.append(inputs["x"])
                return {"firsts": self.kept[0][:, 0] * 1, "sums": sum(float(k[0, 0]) for k in self.kept)}
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script, 1, TENSORS)) {
      double sum = 0;
      for (int call = 1; call <= 5; call++) {
        sum += call;
        try (TensorMap outputs = fixture.predict(floats(1, 50_000, call))) {
          assertThat(outputs.tensor(0).toFloats()).containsExactly(1);
          assertThat(outputs.tensor(1).toDoubles()).containsExactly(sum);
        }
      }
    }
  }

  @Test
  void numpyValues_becomeJson() {
    String script =
        """
        import numpy as np
        class Predictor:
            def predict(self, inputs):
                return [np.float32(1.5), np.int64(7), np.array([1, 2]), np.bool_(True),
                        {"a": np.float64("nan")}, np.datetime64("2024-01-02")]
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("0").subList(0, 5))
          .containsExactly("1.5", "7", "[1,2]", "true", "{\"a\":NaN}");
    }
  }

  @Test
  void listsOfArrays_areWhatTheArraysTogetherAre() {
    String script =
        """
        import numpy as np
        class Predictor:
            def predict(self, rows):
                x = np.array(rows)
                return list(x * 2) if len(rows) == 2 else [np.arange(i + 1) for i in range(3)]
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      try (TensorMap outputs = fixture.predict(floats(2, 2, 1))) {
        assertThat(outputs.tensor(0).toString()).isEqualTo("FP64[2,2]");
        assertThat(outputs.tensor(0).toDoubles()).containsExactly(2, 4, 6, 8);
      }
      try (TensorMap outputs = fixture.predict(floats(3, 2, 1))) {
        assertThat(outputs.tensor(0).toStrings()).containsExactly("[0]", "[0,1]", "[0,1,2]");
      }
    }
  }

  @Test
  void datesOfNanoseconds_maskedElementsAndKeys_becomeJson() {
    String script =
        """
        import numpy as np
        class Predictor:
            def predict(self, rows):
                days = np.array(["2024-01-02", "NaT"], dtype="datetime64[ns]")
                masked = np.ma.masked_array([1, 2], mask=[0, 1])
                return [days, list(days), masked, [{np.int64(1): np.float32(0.5)}]][int(rows[0])]
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      List<List<String>> expected =
          List.of(
              List.of("\"2024-01-02T00:00:00\"", "null"),
              List.of("\"2024-01-02T00:00:00\"", "null"),
              List.of("1", "null"),
              List.of("{\"1\":0.5}"));
      for (int i = 0; i < expected.size(); i++) {
        assertThat(fixture.texts(Integer.toString(i))).isEqualTo(expected.get(i));
        TensorMap asked = TensorMap.of("x", Tensor.copyOf(Shape.of(1), new long[] {i}));
        try (TensorMap outputs = fixture.predict(asked)) {
          assertThat(outputs.tensor(0).toStrings()).isEqualTo(expected.get(i));
        }
      }
    }
  }

  @Test
  void arraysOfOtherLayouts_areGivenAsTheyRead() {
    String script =
        """
        import numpy as np
        class Predictor:
            def predict(self, rows):
                x = np.array(rows, dtype=">f4")
                return x.T[::-1]
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script);
        TensorMap outputs = fixture.predict(floats(2, 2, 1))) {
      assertThat(outputs.tensor(0).toString()).isEqualTo("FP32[2,2]");
      assertThat(outputs.tensor(0).toFloats()).containsExactly(2, 4, 1, 3);
    }
  }

  @Test
  void aModelOfScikitLearn_needsNoScript() throws IOException, InterruptedException {
    PythonFixture.requireModule(
        "sklearn", "the python3 on the PATH has no scikit-learn: pip install scikit-learn");
    Process process =
        new ProcessBuilder(
                "python3",
                "-c",
                """
                import sys, joblib
                from sklearn.linear_model import LinearRegression
                model = LinearRegression().fit([[0, 0], [1, 0], [0, 1]], [1, 3, 4])
                joblib.dump(model, sys.argv[1])
                """,
                directory.resolve("model.joblib").toString())
            .inheritIO()
            .start();
    assertThat(process.waitFor()).isZero();
    try (PythonFixture fixture = PythonFixture.load(directory, 1, Map.of())) {
      List<String> answers = fixture.texts("[1, 1]", "[2, 0]");
      assertThat(Double.parseDouble(answers.getFirst())).isCloseTo(6, within(1e-9));
      assertThat(Double.parseDouble(answers.getLast())).isCloseTo(5, within(1e-9));
    }
  }

  private static org.assertj.core.data.Offset<Double> within(double difference) {
    return org.assertj.core.data.Offset.offset(difference);
  }
}

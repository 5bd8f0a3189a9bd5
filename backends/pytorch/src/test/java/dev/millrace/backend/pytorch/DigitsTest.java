package dev.millrace.backend.pytorch;

import static dev.millrace.backend.pytorch.PyTorchFixture.spec;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** A trained classifier of handwritten digits, with the rows that it was not trained on. */
@ExtendWith(TensorLeakExtension.class)
class DigitsTest {
  private static final int PIXELS = 64;
  private static final int DIGITS = 10;

  @Test
  void logits_areThoseOfPyTorchForPython() throws IOException {
    float[][] rows = table("digits.csv");
    float[][] expected = table("digits-logits.csv");
    float[] logits = logits(Arrays.copyOf(rows, expected.length));
    for (int i = 0; i < logits.length; i++) {
      assertThat(logits[i]).isCloseTo(expected[i / DIGITS][i % DIGITS], within(1e-3f));
    }
  }

  @Test
  void unseenDigits_areRecognised() throws IOException {
    float[][] rows = table("digits.csv");
    float[] logits = logits(rows);
    int right = 0;
    for (int i = 0; i < rows.length; i++) {
      int best = 0;
      for (int digit = 1; digit < DIGITS; digit++) {
        best = logits[i * DIGITS + digit] > logits[i * DIGITS + best] ? digit : best;
      }
      right += best == rows[i][PIXELS] ? 1 : 0;
    }
    assertThat(right).isEqualTo(345);
  }

  private static float[] logits(float[][] rows) {
    float[] pixels = new float[rows.length * PIXELS];
    for (int i = 0; i < rows.length; i++) {
      System.arraycopy(rows[i], 0, pixels, i * PIXELS, PIXELS);
    }
    Map<String, Object> settings =
        Map.of(
            "inputs", List.of(spec("pixels", "FP32", -1, PIXELS)),
            "outputs", List.of(spec("logits", "FP32", -1, DIGITS)));
    try (PyTorchFixture torch = PyTorchFixture.of("digits", settings);
        TensorMap outputs =
            torch.predict(
                TensorMap.of("pixels", Tensor.copyOf(Shape.of(rows.length, PIXELS), pixels)))) {
      return requireNonNull(outputs.get("logits")).toFloats();
    }
  }

  private static float[][] table(String name) throws IOException {
    List<String> lines = Files.readAllLines(PyTorchFixture.file(name));
    float[][] table = new float[lines.size()][];
    for (int i = 0; i < table.length; i++) {
      String[] cells = lines.get(i).split(",", -1);
      table[i] = new float[cells.length];
      for (int j = 0; j < cells.length; j++) {
        table[i][j] = Float.parseFloat(cells[j]);
      }
    }
    return table;
  }
}

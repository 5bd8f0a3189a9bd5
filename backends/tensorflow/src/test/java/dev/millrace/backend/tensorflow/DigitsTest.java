package dev.millrace.backend.tensorflow;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** The classifier of digits that the tests of the distribution serve by all engines. */
@ExtendWith(TensorLeakExtension.class)
class DigitsTest {
  private static final Path TRAINED =
      Path.of("..", "pytorch", "src", "test", "resources", "models");
  private static final Path FIXTURE = Path.of("src", "test", "resources", "models", "digits");

  /** With {@code -Dmillrace.write-fixtures=true}, writes the file instead. */
  @Test
  void fixture_isWhatIsWrittenHere() throws IOException {
    SavedModelWriter written = Digits.graph(TRAINED.resolve("digits.npz"));
    if (Boolean.getBoolean("millrace.write-fixtures")) {
      written.write(FIXTURE);
    }
    assertThat(FIXTURE.resolve("saved_model.pb")).hasBinaryContent(written.toByteArray());
  }

  @Test
  void logits_areThoseOfPyTorch(@TempDir Path directory) throws IOException {
    List<String> rows = Files.readAllLines(TRAINED.resolve("digits.csv")).subList(0, 16);
    List<String> expected = Files.readAllLines(TRAINED.resolve("digits-logits.csv"));
    float[] pixels = new float[rows.size() * 64];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = Float.parseFloat(rows.get(i / 64).split(",", -1)[i % 64]);
    }
    try (TensorFlowFixture model =
            TensorFlowFixture.of(directory, Digits.graph(TRAINED.resolve("digits.npz")));
        TensorMap outputs =
            model.predict(TensorMap.of("pixels", Tensor.copyOf(Shape.of(16, 64), pixels)))) {
      float[] logits = requireNonNull(outputs.get("logits")).toFloats();
      for (int i = 0; i < logits.length; i++) {
        assertThat(logits[i])
            .isCloseTo(
                Float.parseFloat(expected.get(i / 10).split(",", -1)[i % 10]), within(1e-3f));
      }
    }
  }
}

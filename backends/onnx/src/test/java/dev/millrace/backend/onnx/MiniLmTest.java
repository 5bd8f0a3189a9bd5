package dev.millrace.backend.onnx;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** The real all-MiniLM-L6-v2, quantised, from its Maven artifact. */
@ExtendWith(TensorLeakExtension.class)
class MiniLmTest {
  private static final Shape SHAPE = Shape.of(2, 10);

  @TempDir Path directory;

  /**
   * The expected numbers are what ONNX Runtime for Python gives for the same tokens. How a
   * processor multiplies small integers shows in the second digit.
   */
  @Test
  void embeddings_areThoseOfTheReference() throws IOException {
    try (OnnxFixture onnx = OnnxFixture.of(directory, model());
        TensorMap outputs = onnx.predict(inputs())) {
      assertThat(onnx.model.metadata().isBatchable()).isTrue();
      Tensor output = requireNonNull(outputs.get("last_hidden_state"));
      assertThat(output.shape()).isEqualTo(Shape.of(2, 10, 384));
      float[] values = output.toFloats();
      assertThat(Arrays.copyOf(values, 4))
          .containsExactly(new float[] {-0.55f, 0.15f, -0.26f, 0.30f}, within(0.1f));
      assertThat(cosine(mean(values, 0, 10), mean(values, 1, 9))).isCloseTo(0.633, within(0.02));
    }
  }

  /** The embedding of a sentence: the mean over its tokens. */
  private static double[] mean(float[] values, int sentence, int tokens) {
    double[] mean = new double[384];
    for (int i = 0; i < tokens * 384; i++) {
      mean[i % 384] += values[sentence * 10 * 384 + i] / tokens;
    }
    return mean;
  }

  private static double cosine(double[] a, double[] b) {
    return product(a, b) / Math.sqrt(product(a, a) * product(b, b));
  }

  private static double product(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  private static byte[] model() throws IOException {
    try (InputStream model =
        requireNonNull(MiniLmTest.class.getResourceAsStream("/all-minilm-l6-v2-q.onnx"))) {
      return model.readAllBytes();
    }
  }

  /** "A mill wheel turns in the stream." and "The river drives the water wheel." */
  private static TensorMap inputs() {
    return TensorMap.builder()
        .put(
            "input_ids",
            Tensor.copyOf(
                SHAPE, 101, 1037, 4971, 5217, 4332, 1999, 1996, 5460, 1012, 102L, 101, 1996, 2314,
                9297, 1996, 2300, 5217, 1012, 102, 0))
        .put(
            "attention_mask",
            Tensor.copyOf(SHAPE, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1L, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0))
        .put("token_type_ids", Tensor.copyOf(SHAPE, new long[20]))
        .build();
  }
}

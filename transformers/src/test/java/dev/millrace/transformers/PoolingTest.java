package dev.millrace.transformers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import dev.millrace.testing.TensorLeakExtension;
import java.util.List;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class PoolingTest {
  private static final TensorSpec TOKENS =
      new TensorSpec("last_hidden_state", DataType.FP32, Shape.of(-1, -1, 2));
  private static final TensorSpec OTHER = new TensorSpec("other", DataType.FP32, Shape.of(-1, 3));
  private static final ModelMetadata MODEL = Chains.model(List.of(), List.of(TOKENS, OTHER));

  /** Two rows of three tokens; of the second row, only one counts. */
  private static float[] pool(Map<String, Object> options) {
    try (Transformer step = Chains.step(new Pooling(), options)) {
      ModelMetadata outer = step.describe(MODEL);
      assertThat(outer.outputs())
          .containsExactly(
              OTHER, new TensorSpec("sentence_embedding", DataType.FP32, Shape.of(-1, 2)));
      InferenceRequest request =
          step.preprocess(
              Chains.request(
                  TensorMap.of(
                      "attention_mask", Tensor.copyOf(Shape.of(2, 3), 1L, 1L, 0L, 1L, 0L, 0L))));
      request.close(); // as the batcher does
      float[] tokens = {1, 8, 3, -4, 90, 90, 6, 8, 70, 70, 70, 70};
      InferenceResponse response =
          step.postprocess(
              request,
              Chains.response(
                  TensorMap.of(
                      "last_hidden_state", Tensor.copyOf(Shape.of(2, 3, 2), tokens),
                      "other", Tensor.copyOf(Shape.of(2, 3), new float[6]))));
      try (response) {
        assertThat(response.outputs().names()).containsExactly("other", "sentence_embedding");
        assertThat(response.outputs().tensor(1).shape()).isEqualTo(Shape.of(2, 2));
        return response.outputs().tensor(1).toFloats();
      }
    }
  }

  @Test
  void modes_lookOnlyAtTokensThatCount() {
    assertThat(pool(Map.of("normalize", false))).containsExactly(2, 2, 6, 8);
    assertThat(pool(Map.of("normalize", false, "mode", "max"))).containsExactly(3, 8, 6, 8);
    assertThat(pool(Map.of("normalize", false, "mode", "cls"))).containsExactly(1, 8, 6, 8);
    assertThat(pool(Map.of("normalize", false, "mode", "last"))).containsExactly(3, -4, 6, 8);
  }

  @Test
  void vectors_haveLengthOne() {
    assertThat(pool(Map.of()))
        .containsExactly(new float[] {0.70710677f, 0.70710677f, 0.6f, 0.8f}, Offset.offset(1e-6f));
  }

  @Test
  void withoutMask_allTokensCount_andRowsWithoutTokensAreZero() {
    try (Transformer step = Chains.step(new Pooling(), Map.of())) {
      step.describe(MODEL);
      try (InferenceRequest request = Chains.request(TensorMap.empty());
          InferenceResponse response =
              step.postprocess(
                  step.preprocess(request),
                  Chains.response(
                      TensorMap.of(
                          "last_hidden_state",
                          Tensor.copyOf(Shape.of(1, 2, 2), 0f, 2f, 0f, 4f))))) {
        assertThat(response.outputs().tensor(0).toFloats()).containsExactly(0, 1);
      }
      try (InferenceRequest request = Chains.request(TensorMap.empty());
          InferenceResponse response =
              step.postprocess(
                  request,
                  Chains.response(
                      TensorMap.of(
                          "last_hidden_state", Tensor.copyOf(Shape.of(1, 0, 2), new float[0]))))) {
        assertThat(response.outputs().tensor(0).toFloats()).containsExactly(0, 0);
      }
    }
  }

  @Test
  void outputThatCannotBePooled_isRefused() {
    try (Transformer step = Chains.step(new Pooling(), Map.of("output", "other"))) {
      assertThatThrownBy(() -> step.describe(MODEL))
          .hasMessage("the output 'other' is FP32[-1,3]; to pool it, it has to be FP32[-1,-1,n]");
    }
    try (Transformer step = Chains.step(new Pooling(), Map.of("output", "odd"))) {
      assertThatThrownBy(() -> step.describe(MODEL))
          .hasMessage("there is no output 'odd'; there is last_hidden_state, other");
    }
  }
}

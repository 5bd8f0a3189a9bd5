package dev.millrace.backend.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import java.util.List;
import org.junit.jupiter.api.Test;

class OnnxSignatureTest {
  private static final int FP32 = 1;
  private static final int COMPLEX64 = 14;

  private static OrtNode tensor(String name, List<Long> dims, String... symbols) {
    return new OrtNode(name, OrtNode.Kind.TENSOR, FP32, dims, List.of(symbols), true, false);
  }

  private static boolean isBatchable(List<OrtNode> inputs, OrtNode... outputs) {
    return OnnxSignature.of(inputs, List.of(outputs)).batchable();
  }

  @Test
  void oneDynamicFirstDimensionEverywhere_isABatch() {
    OrtNode x = tensor("x", List.of(-1L, 3L), "n", "");
    assertThat(isBatchable(List.of(x), tensor("y", List.of(-1L), "n"))).isTrue();
    assertThat(isBatchable(List.of(x), tensor("y", List.of(-1L), ""))).isTrue();
    assertThat(isBatchable(List.of(x), tensor("y", List.of(-1L), "unk__7"))).isTrue();
  }

  @Test
  void anythingElse_isNoBatch() {
    OrtNode x = tensor("x", List.of(-1L, 3L), "n", "");
    assertThat(isBatchable(List.of(x), tensor("y", List.of(-1L), "m"))).isFalse();
    assertThat(isBatchable(List.of(x), tensor("y", List.of(3L), ""))).isFalse();
    assertThat(isBatchable(List.of(x), tensor("y", List.of()))).isFalse();
    assertThat(isBatchable(List.of(tensor("x", List.of())), tensor("y", List.of(-1L), "")))
        .isFalse();
    OrtNode z = tensor("z", List.of(-1L), "m");
    assertThat(isBatchable(List.of(x, z), tensor("y", List.of(-1L), "n"))).isFalse();
  }

  @Test
  void outputThatIsNoTensor_isLeftOut() {
    OnnxSignature signature =
        OnnxSignature.of(
            List.of(tensor("x", List.of(-1L), "")),
            List.of(OrtNode.of("list", OrtNode.Kind.OTHER, false), tensor("y", List.of(-1L), "")));
    assertThat(signature.leftOut()).containsExactly("list");
    assertThat(signature.outputs()).hasSize(1);
  }

  @Test
  void modelThatCannotBeServed_isRefused() {
    OrtNode x = tensor("x", List.of(-1L), "");
    OrtNode list = OrtNode.of("list", OrtNode.Kind.OTHER, false);
    assertRefused(List.of(x), List.of(list), "the model has no output that is a tensor");
    assertRefused(List.of(list), List.of(x), "input 'list' is not a tensor");
    OrtNode complex =
        new OrtNode("c", OrtNode.Kind.TENSOR, COMPLEX64, List.of(), List.of(), true, false);
    assertRefused(
        List.of(complex),
        List.of(x),
        "input 'c' is not a tensor of a type that can be served, but one of COMPLEX64");
  }

  @Test
  void tensorsWithoutAShape_takeAny_andAreNoBatch() {
    OrtNode shapeless =
        new OrtNode("s", OrtNode.Kind.TENSOR, FP32, List.of(), List.of(), false, false);
    OnnxSignature signature = OnnxSignature.of(List.of(shapeless), List.of(shapeless));
    assertThat(signature.inputs().getFirst().shape()).isEqualTo(Shape.ANY_RANK);
    assertThat(signature.outputs().getFirst().shape()).isEqualTo(Shape.ANY_RANK);
    assertThat(isBatchable(List.of(shapeless), tensor("y", List.of(-1L), ""))).isFalse();
  }

  private static void assertRefused(List<OrtNode> inputs, List<OrtNode> outputs, String words) {
    assertThatThrownBy(() -> OnnxSignature.of(inputs, outputs))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining(words);
  }
}

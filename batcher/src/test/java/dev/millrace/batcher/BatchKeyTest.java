package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class BatchKeyTest {
  @Test
  void key_ignoresRowsAndOrderOfInputs() {
    try (TensorMap inputs = TensorMap.of("a", floats(2, 3), "b", ints(2));
        TensorMap others = TensorMap.of("b", ints(5), "a", floats(5, 3))) {
      BatchKey key = BatchKey.of(inputs, List.of("y"));
      BatchKey other = BatchKey.of(others, List.of("y"));
      assertThat(key).isEqualTo(other).hasSameHashCodeAs(other);
      assertThat(key.matches(others, List.of("y"))).isTrue();
      assertThat(key).hasToString("a=FP32[2,3], b=INT32[2] -> [y]");
    }
  }

  @Test
  void key_differsByNameDatatypeInnerDimensionsAndOutputs() {
    try (TensorMap inputs = TensorMap.of("a", floats(2, 3));
        TensorMap name = TensorMap.of("b", floats(2, 3));
        TensorMap rank = TensorMap.of("a", floats(2, 3, 1));
        TensorMap dim = TensorMap.of("a", floats(2, 4));
        TensorMap dataType = TensorMap.of("a", Tensor.copyOf(Shape.of(2, 3), new int[6]));
        TensorMap more = TensorMap.of("a", floats(2, 3), "b", ints(2))) {
      BatchKey key = BatchKey.of(inputs, List.of());
      for (TensorMap other : List.of(name, rank, dim, dataType, more, TensorMap.empty())) {
        assertThat(key.matches(other, List.of())).as("%s", other).isFalse();
        assertThat(key).isNotEqualTo(BatchKey.of(other, List.of()));
      }
      assertThat(key.matches(inputs, List.of("y"))).isFalse();
      assertThat(BatchKey.of(inputs, List.of("y", "z")))
          .isNotEqualTo(BatchKey.of(inputs, List.of("z", "y")));
    }
  }

  @Test
  void none_matchesNoInputs() {
    try (TensorMap inputs = TensorMap.of("a", ints(2))) {
      assertThat(BatchKey.none().matches(inputs, List.of())).isFalse();
    }
  }

  private static Tensor floats(long... dims) {
    return Tensor.copyOf(Shape.of(dims), new float[(int) Shape.of(dims).elementCount()]);
  }

  private static Tensor ints(int rows) {
    return Tensor.copyOf(Shape.of(rows), new int[rows]);
  }
}

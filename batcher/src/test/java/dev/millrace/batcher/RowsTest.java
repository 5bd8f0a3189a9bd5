package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@ExtendWith(TensorLeakExtension.class)
class RowsTest {
  @ParameterizedTest
  @EnumSource(DataType.class)
  void splitOfConcat_isTheSame(DataType dataType) {
    Random random = new Random(7);
    for (int round = 0; round < 50; round++) {
      long[] dims = new long[1 + random.nextInt(3)];
      for (int i = 1; i < dims.length; i++) {
        dims[i] = random.nextInt(4);
      }
      int[] rows = new int[1 + random.nextInt(5)];
      List<TensorMap> maps = new ArrayList<>();
      for (int i = 0; i < rows.length; i++) {
        rows[i] = random.nextInt(6);
        Shape shape = Shape.of(dims).withDim(0, rows[i]);
        maps.add(
            TensorMap.of(
                "a", Inputs.random(dataType, shape, random),
                "b", Inputs.random(DataType.FP32, Shape.of(rows[i]), random)));
      }

      List<TensorMap> shares = Rows.split(Rows.concat(maps), rows);

      assertThat(shares).hasSameSizeAs(maps);
      for (int i = 0; i < rows.length; i++) {
        Inputs.assertSame(shares.get(i), maps.get(i));
        shares.get(i).close();
        maps.get(i).close();
      }
    }
  }

  @Test
  void concat_findsTensorsByName() {
    try (TensorMap first = TensorMap.of("a", ints(1), "b", ints(2));
        TensorMap second = TensorMap.of("b", ints(4), "a", ints(3));
        TensorMap batch = Rows.concat(List.of(first, second))) {
      assertThat(batch.names()).containsExactly("a", "b");
      assertThat(batch.tensor(0).toInts()).containsExactly(1, 3);
      assertThat(batch.tensor(1).toInts()).containsExactly(2, 4);
    }
  }

  @Test
  void concat_refusesWhatDoesNotFit() {
    try (TensorMap ints = TensorMap.of("a", ints(1));
        TensorMap others = TensorMap.of("b", ints(1));
        TensorMap wide = TensorMap.of("a", Tensor.copyOf(Shape.of(1, 2), 1, 2));
        TensorMap floats = TensorMap.of("a", Tensor.copyOf(Shape.of(1), 1f))) {
      for (TensorMap other : List.of(others, wide, floats)) {
        assertThatThrownBy(() -> Rows.concat(List.of(ints, other)))
            .isInstanceOfSatisfying(
                InferenceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.INTERNAL))
            .hasMessageContaining("tensor 'a'");
      }
    }
  }

  @Test
  void split_keepsTheBatchUntilItsLastShareIsClosed() {
    AtomicInteger released = new AtomicInteger();
    ByteBuffer memory = ByteBuffer.allocateDirect(12);
    Tensor batch = Tensor.wrap(DataType.INT32, Shape.of(3), memory, released::incrementAndGet);

    List<TensorMap> shares = Rows.split(TensorMap.of("y", batch), new int[] {1, 2});

    shares.get(1).close();
    assertThat(released).hasValue(0);
    assertThat(shares.get(0).tensor(0).toInts()).containsExactly(0);
    shares.get(0).close();
    assertThat(released).hasValue(1);
  }

  @Test
  void split_copiesSmallSharesOfLargeOutputs() {
    AtomicInteger released = new AtomicInteger();
    int rows = Rows.ALWAYS_SLICED;
    Tensor batch =
        Tensor.wrap(
            DataType.INT32,
            Shape.of(rows),
            ByteBuffer.allocateDirect(rows * 4),
            released::incrementAndGet);

    List<TensorMap> shares = Rows.split(TensorMap.of("y", batch), new int[] {rows - 1, 1});

    shares.get(0).close();
    assertThat(released).as("the small share does not keep the batch").hasValue(1);
    assertThat(shares.get(1).tensor(0).toInts()).containsExactly(0);
    shares.get(1).close();
  }

  @Test
  void isCopied_onlyBelowAnEighthOfALargeOutput() {
    assertThat(Rows.isCopied(1, Rows.ALWAYS_SLICED)).isFalse();
    assertThat(Rows.isCopied(1 << 10, 1 << 20)).isTrue();
    assertThat(Rows.isCopied(1 << 17, 1 << 20)).isFalse();
    assertThat(Rows.isCopied(1 << 28, Integer.MAX_VALUE)).isFalse();
  }

  @Test
  void split_thatFails_closesEverything() {
    long used = BufferPool.shared().usedBytes();
    Tensor good = ints(1, 2);
    Tensor closed = ints(1, 2);
    closed.close();

    assertThatThrownBy(
            () -> Rows.split(TensorMap.of("good", good, "closed", closed), new int[] {1, 1}))
        .isInstanceOf(IllegalStateException.class);

    assertThat(good.isClosed()).isTrue();
    assertThat(BufferPool.shared().usedBytes()).isEqualTo(used);
  }

  @Test
  void whyNotSplittable_namesTheOutput() {
    try (TensorMap outputs =
        TensorMap.of("y", ints(1, 2), "sum", Tensor.copyOf(Shape.scalar(), 3f))) {
      assertThat(Rows.whyNotSplittable(outputs, 2))
          .isEqualTo("output 'sum' has shape [] for a batch of 2 rows");
      assertThat(Rows.whyNotSplittable(outputs, 3))
          .isEqualTo("output 'y' has shape [2] for a batch of 3 rows");
    }
    assertThat(Rows.whyNotSplittable(TensorMap.empty(), 3)).isNull();
  }

  private static Tensor ints(int... values) {
    return Tensor.copyOf(Shape.of(values.length), values);
  }
}

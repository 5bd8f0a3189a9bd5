package dev.millrace.runtime;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.testing.TensorLeakExtension;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class SyntheticInputsTest {
  private static SyntheticInputs inputs(int maxBatchSize, TensorSpec... specs) {
    return new SyntheticInputs(
        new ModelMetadata(
            new ModelId("m", "1"), "fake", List.of(specs), List.of(), maxBatchSize, Map.of()),
        16);
  }

  private static TensorSpec spec(DataType type, long... dims) {
    return new TensorSpec("X", type, Shape.of(dims));
  }

  @Test
  void row_hasTheSameValuesInEveryBatch_andOthersThanItsNeighbours() {
    SyntheticInputs inputs = inputs(8, spec(DataType.FP32, -1, 3));
    try (TensorMap batch = inputs.firstRows(3);
        TensorMap alone = inputs.rows(1)) {
      float[] rows = requireNonNull(batch.get("X")).toFloats();
      float[] row = requireNonNull(alone.get("X")).toFloats();
      assertThat(Arrays.copyOfRange(rows, 3, 6)).isEqualTo(row);
      assertThat(Arrays.copyOfRange(rows, 0, 3)).isNotEqualTo(row);
      assertThat(Arrays.copyOfRange(rows, 6, 9)).isNotEqualTo(row);
    }
  }

  @Test
  void everyDatatype_isMadeUpInItsOwnForm() {
    for (DataType type : DataType.values()) {
      try (TensorMap made = inputs(8, spec(type, -1, 4)).firstRows(2)) {
        assertThat(made.toString()).isEqualTo("{X=" + type + "[2,4]}");
      }
    }
    try (TensorMap texts = inputs(8, spec(DataType.BYTES, -1, 4)).firstRows(2)) {
      assertThat(requireNonNull(texts.get("X")).toStrings()).containsOnly("0", "1");
    }
    try (TensorMap texts = inputs(8, spec(DataType.BYTES, -1)).withWords().firstRows(4)) {
      assertThat(requireNonNull(texts.get("X")).toStrings())
          .containsExactly("1", "0 1", "1 1 1", "0");
    }
  }

  @Test
  void wholeNumbers_areZerosAndOnes_neverOnlyZeros() {
    SyntheticInputs inputs = inputs(8, spec(DataType.INT64, -1, 16));
    for (int row = 0; row < 8; row++) {
      try (TensorMap made = inputs.rows(row)) {
        long[] values = requireNonNull(made.get("X")).toLongs();
        assertThat(values).containsOnly(0, 1);
        assertThat(values[0]).isEqualTo(1);
      }
    }
  }

  @Test
  void sizesThatMayBeAny_areTheInnerSize_andTheFirstIsTheRows() {
    SyntheticInputs inputs = inputs(8, spec(DataType.INT64, -1, -1, 3));
    assertThat(inputs.hasInnerSize()).isTrue();
    assertThat(inputs.canBatch()).isTrue();
    assertThat(inputs.rowElements()).isEqualTo(48);
    assertThat(inputs.byteSize(4)).isEqualTo(4 * 48 * 8);
    try (TensorMap made = inputs.firstRows(4)) {
      assertThat(made.tensor(0).shape()).isEqualTo(Shape.of(4, 16, 3));
    }
  }

  @Test
  void modelWithoutRows_getsWholeInputs() {
    List<SyntheticInputs> all = new ArrayList<>();
    all.add(inputs(0, spec(DataType.INT64, -1, 3)));
    all.add(inputs(8, spec(DataType.INT64, 1, 3)));
    for (SyntheticInputs inputs : all) {
      assertThat(inputs.canBatch()).isFalse();
      try (TensorMap made = inputs.rows(0)) {
        assertThat(made.tensor(0).shape()).isEqualTo(Shape.of(1, 3));
      }
    }
    try (TensorMap scalar = inputs(8, spec(DataType.FP64)).rows(0)) {
      Tensor tensor = scalar.tensor(0);
      assertThat(tensor.toDoubles()).hasSize(1);
    }
  }

  @Test
  void hugeInputs_areRefused_andNothingIsKept() {
    SyntheticInputs inputs =
        inputs(
            8,
            spec(DataType.FP32, -1, 4),
            new TensorSpec("BIG", DataType.FP64, Shape.of(-1, 1 << 20, 1 << 20)));
    assertThatThrownBy(() -> inputs.rows(0))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("'BIG'")
        .hasMessageContaining("too large");
  }
}

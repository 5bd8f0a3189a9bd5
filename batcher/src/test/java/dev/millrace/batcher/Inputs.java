package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Makes and compares tensors. */
final class Inputs {
  private Inputs() {}

  /** Input {@code x}, FP32[n,1], of these values. */
  static TensorMap x(float... values) {
    return TensorMap.of("x", Tensor.copyOf(Shape.of(values.length, 1), values));
  }

  /** Input {@code x}, FP32[rows,1], of {@code first, first + 1, ...}. */
  static TensorMap rows(int first, int rows) {
    float[] values = new float[rows];
    for (int i = 0; i < rows; i++) {
      values[i] = first + i;
    }
    return x(values);
  }

  /** The values of output {@code y}, which this closes. */
  static List<Float> y(TensorMap outputs) {
    try (outputs) {
      assertThat(outputs.names()).containsExactly("y");
      return TestPredictor.values(outputs.tensor(0));
    }
  }

  static Tensor random(DataType dataType, Shape shape, Random random) {
    int elements = (int) shape.elementCount();
    if (dataType == DataType.BYTES) {
      List<byte[]> values = new ArrayList<>();
      for (int i = 0; i < elements; i++) {
        byte[] value = new byte[random.nextInt(20)];
        random.nextBytes(value);
        values.add(value);
      }
      return Tensor.copyOf(shape, values);
    }
    byte[] bytes = new byte[elements * dataType.byteSize()];
    random.nextBytes(bytes);
    return Tensor.copyOf(dataType, shape, ByteBuffer.wrap(bytes));
  }

  static TensorMap copy(TensorMap map) {
    try (TensorMap.Builder copy = TensorMap.builder()) {
      map.forEach((name, t) -> copy.put(name, Tensor.copyOf(t.dataType(), t.shape(), t.data())));
      return copy.build();
    }
  }

  static void assertSame(TensorMap actual, TensorMap expected) {
    assertThat(actual.names()).isEqualTo(expected.names());
    for (int i = 0; i < actual.size(); i++) {
      assertThat(actual.tensor(i).dataType()).isEqualTo(expected.tensor(i).dataType());
      assertThat(actual.tensor(i).shape()).isEqualTo(expected.tensor(i).shape());
      assertThat(actual.tensor(i).data()).isEqualTo(expected.tensor(i).data());
    }
  }
}

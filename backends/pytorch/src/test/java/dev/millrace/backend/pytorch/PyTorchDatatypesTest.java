package dev.millrace.backend.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

@ExtendWith(TensorLeakExtension.class)
class PyTorchDatatypesTest {
  static final List<DataType> TYPES = PyTorchTensors.DATA_TYPES;

  private final Random random = new Random(7);

  @ParameterizedTest
  @FieldSource("TYPES")
  void everyDatatype_comesBackAsItWent(DataType type) {
    try (PyTorchFixture torch = PyTorchFixture.of("identity")) {
      for (Shape shape :
          List.of(
              Shape.scalar(),
              Shape.of(1, 3),
              Shape.of(5, 7, 3),
              Shape.of(0, 4),
              Shape.of(4, 0),
              Shape.of(LongStream.generate(() -> 1).limit(Shape.MAX_RANK).toArray()))) {
        assertIdentity(torch, random(type, shape));
      }
    }
  }

  @Test
  void halfPrecisionAndShortNumbers_areCountedAsSuch() {
    try (PyTorchFixture torch = PyTorchFixture.of("doubled")) {
      assertDoubled(torch, DataType.BF16, (short) 0x3FC0, (short) 0x4040); // 1.5 and 3
      assertDoubled(torch, DataType.FP16, (short) 0x3E00, (short) 0x4200);
      assertDoubled(torch, DataType.INT16, (short) -300, (short) -600);
    }
  }

  private static void assertDoubled(PyTorchFixture torch, DataType type, short in, short out) {
    Tensor tensor =
        Tensor.copyOf(
            type,
            Shape.of(1),
            ByteBuffer.allocate(2).order(ByteOrder.LITTLE_ENDIAN).putShort(0, in));
    try (TensorMap outputs = torch.predict(TensorMap.of("x", tensor))) {
      assertThat(outputs.tensor(0).dataType()).isEqualTo(type);
      assertThat(outputs.tensor(0).data().getShort(0)).isEqualTo(out);
    }
  }

  private Tensor random(DataType type, Shape shape) {
    byte[] bytes = new byte[(int) shape.elementCount() * type.byteSize()];
    random.nextBytes(bytes);
    if (type == DataType.BOOL) {
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] &= 1;
      }
    }
    if (type == DataType.BF16) {
      // The engine has one NaN only.
      for (int i = 1; i < bytes.length; i += 2) {
        bytes[i] = (bytes[i] & 0x7F) == 0x7F ? 0x3F : bytes[i];
      }
    }
    return Tensor.copyOf(type, shape, ByteBuffer.wrap(bytes));
  }

  private static void assertIdentity(PyTorchFixture torch, Tensor input) {
    try (TensorMap inputs = TensorMap.of("x", input);
        TensorMap outputs = torch.predictor.predict(inputs, List.of())) {
      Tensor output = outputs.tensor(0);
      assertThat(output.dataType()).isEqualTo(input.dataType());
      assertThat(output.shape()).isEqualTo(input.shape());
      assertThat(output.data()).isEqualTo(input.data());
    }
  }
}

package dev.millrace.backend.onnx;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@ExtendWith(TensorLeakExtension.class)
class OnnxDatatypesTest {
  @TempDir Path directory;

  private final Random random = new Random(7);

  @ParameterizedTest
  @EnumSource(DataType.class)
  void everyDatatype_comesBackAsItWent(DataType type) {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.identity(type, -1, "n", 3))) {
      assertThat(onnx.model.metadata().inputs())
          .containsExactly(new TensorSpec("INPUT0", type, Shape.of(-1, -1, 3)));
      for (Shape shape : List.of(Shape.of(1, 1, 3), Shape.of(5, 7, 3), Shape.of(2, 1, 3))) {
        assertIdentity(onnx, random(type, shape));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void scalar_comesBackAsItWent(DataType type) {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.identity(type))) {
      assertIdentity(onnx, random(type, Shape.scalar()));
    }
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void emptyTensor_comesBackEmpty(DataType type) {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.identity(type, -1, -1))) {
      assertIdentity(onnx, random(type, Shape.of(0, 4)));
      assertIdentity(onnx, random(type, Shape.of(4, 0)));
    }
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void unalignedBytes_comeBackAsTheyWent(DataType type) {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.identity(type, -1));
        Tensor aligned = random(type, Shape.of(9))) {
      ByteBuffer memory = ByteBuffer.allocateDirect(aligned.byteSize() + 1);
      memory.put(1, aligned.data(), 0, aligned.byteSize());
      assertIdentity(onnx, Tensor.wrap(type, aligned.shape(), memory.position(1)));
    }
  }

  @Test
  void bytes_thatAreNotText_comeBackAsTheyWent() {
    byte[] all = new byte[256];
    for (int i = 0; i < all.length; i++) {
      all[i] = (byte) i;
    }
    List<byte[]> elements =
        List.of(all, new byte[0], new byte[] {0}, new byte[] {(byte) 0xC3}, new byte[70_000]);
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.identity(DataType.BYTES, -1))) {
      assertIdentity(onnx, Tensor.copyOf(Shape.of(5), elements));
    }
  }

  private Tensor random(DataType type, Shape shape) {
    int count = (int) shape.elementCount();
    if (type == DataType.BYTES) {
      List<byte[]> elements = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        elements.add(randomBytes(random.nextInt(40)));
      }
      return Tensor.copyOf(shape, elements);
    }
    byte[] bytes = randomBytes(count * type.byteSize());
    if (type == DataType.BOOL) {
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] &= 1;
      }
    }
    return Tensor.copyOf(type, shape, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
  }

  private byte[] randomBytes(int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }

  private static void assertIdentity(OnnxFixture onnx, Tensor tensor) {
    try (TensorMap inputs = TensorMap.of("INPUT0", tensor);
        TensorMap outputs = onnx.predictor.predict(inputs, List.of())) {
      Tensor output = outputs.tensor(0);
      assertThat(outputs.name(0)).isEqualTo("OUTPUT0");
      assertThat(output.dataType()).isEqualTo(tensor.dataType());
      assertThat(output.shape()).isEqualTo(tensor.shape());
      assertThat(output.data()).isEqualTo(tensor.data());
    }
  }
}

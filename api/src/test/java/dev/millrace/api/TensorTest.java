package dev.millrace.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class TensorTest {
  @AfterEach
  void noTensorIsLeftOpen() {
    assertThat(TensorTracking.isOn()).isTrue();
    assertThat(TensorTracking.open()).isEmpty();
  }

  @Test
  void copyOf_keepsTheValues() {
    try (Tensor floats = Tensor.copyOf(Shape.of(2, 2), 1f, 2f, Float.NaN, -0f);
        Tensor longs = Tensor.copyOf(Shape.of(2), Long.MIN_VALUE, Long.MAX_VALUE);
        Tensor ints = Tensor.copyOf(Shape.of(1), 7);
        Tensor doubles = Tensor.copyOf(Shape.scalar(), 0.1);
        Tensor texts = Tensor.copyOf(Shape.of(3), "", "né", "a\0b")) {
      assertThat(floats.toFloats()).containsExactly(1f, 2f, Float.NaN, -0f);
      assertThat(longs.toLongs()).containsExactly(Long.MIN_VALUE, Long.MAX_VALUE);
      assertThat(ints.toInts()).containsExactly(7);
      assertThat(doubles.toDoubles()).containsExactly(0.1);
      assertThat(texts.toStrings()).containsExactly("", "né", "a\0b");
      assertThat(floats).hasToString("FP32[2,2]");
    }
  }

  @Test
  void data_isLittleEndianAndItsPositionIsTheCallersOwn() {
    try (Tensor tensor = Tensor.copyOf(Shape.of(1), 1)) {
      ByteBuffer data = tensor.data();
      assertThat(data.order()).isEqualTo(ByteOrder.LITTLE_ENDIAN);
      assertThat(data.isDirect()).isTrue();
      assertThat(data.get()).isEqualTo((byte) 1);
      assertThat(tensor.data().position()).isZero();
    }
  }

  @Test
  void wrap_sharesTheMemoryAndTellsTheOwnerOnce() {
    AtomicInteger released = new AtomicInteger();
    ByteBuffer memory = ByteBuffer.allocateDirect(8);
    Tensor tensor = Tensor.wrap(DataType.UINT8, Shape.of(8), memory, released::incrementAndGet);
    memory.put(3, (byte) 42);
    assertThat(tensor.data().get(3)).isEqualTo((byte) 42);
    tensor.close();
    tensor.close();
    assertThat(released).hasValue(1);
  }

  @Test
  void use_afterClose_throws() {
    Tensor tensor = Tensor.copyOf(Shape.of(1), 1f);
    tensor.close();
    assertThatThrownBy(tensor::data).isInstanceOf(IllegalStateException.class);
    assertThat(tensor.isClosed()).isTrue();
  }

  @Test
  void bytes_thatDoNotFitTheShape_areRefused() {
    ByteBuffer four = ByteBuffer.allocateDirect(4);
    assertThatThrownBy(() -> Tensor.wrap(DataType.FP32, Shape.of(2), four))
        .hasMessage("a tensor of FP32[2] has 8 bytes, got 4");
    assertThatThrownBy(() -> Tensor.wrap(DataType.FP32, Shape.of(-1), four))
        .hasMessageContaining("not concrete");
    assertThatThrownBy(() -> Tensor.wrap(DataType.FP64, Shape.of(1L << 61), four))
        .hasMessageContaining("more bytes than can be addressed");
    assertThatThrownBy(() -> Tensor.copyOf(DataType.INT8, Shape.of(5), four))
        .hasMessageContaining("5 bytes, got 4");
  }

  @Test
  void pooledBuffer_thatIsTooSmall_staysTheCallers() {
    try (PooledBuffer buffer = new BufferPool(0).take(64)) {
      assertThatThrownBy(() -> Tensor.wrap(DataType.FP32, Shape.of(1000), buffer))
          .isInstanceOf(InferenceException.class);
      assertThat(buffer.view(4).remaining()).isEqualTo(4);
    }
  }

  @Test
  void bytesElements_areCountedAndChecked() {
    ByteBuffer bytes = ByteBuffer.allocateDirect(11).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putInt(3).put(new byte[] {1, 2, 3}).putInt(0).flip();
    assertThat(Tensor.countElements(bytes)).isEqualTo(2);
    bytes.putInt(0, -1);
    assertThat(Tensor.countElements(bytes)).isEqualTo(-1);
    assertThatThrownBy(() -> Tensor.wrap(DataType.BYTES, Shape.of(2), bytes))
        .hasMessage("a tensor of BYTES[2] has 2 elements, got bytes that do not add up");
    try (Tensor tensor =
        Tensor.copyOf(Shape.of(1, 2), List.of(new byte[] {(byte) 0xff}, new byte[0]))) {
      assertThat(tensor.toBytes()).containsExactly(new byte[] {(byte) 0xff}, new byte[0]);
    }
  }

  @Test
  void tracking_namesTheOpenOnes() {
    try (Tensor tensor = Tensor.copyOf(Shape.of(1), 1f)) {
      assertThat(TensorTracking.open())
          .singleElement()
          .satisfies(t -> assertThat(t.getMessage()).contains(tensor.toString()));
    }
  }

  @Test
  void map_ownsItsTensorsAndKeepsTheirOrder() {
    TensorMap map =
        TensorMap.of("b", Tensor.copyOf(Shape.of(1), 1f), "a", Tensor.copyOf(Shape.of(2), 1L, 2L));
    assertThat(map.names()).containsExactly("b", "a");
    assertThat(map.byteSize()).isEqualTo(20);
    assertThat(map.get("c")).isNull();
    map.close();
    assertThat(map.tensor(0).isClosed() && map.tensor(1).isClosed()).isTrue();
  }

  @Test
  void mapBuilder_closesWhatWasNotBuilt_andRefusesDuplicates() {
    Tensor tensor = Tensor.copyOf(Shape.of(1), 1f);
    Tensor twin = Tensor.copyOf(Shape.of(1), 1f);
    try (TensorMap.Builder builder = TensorMap.builder().put("x", tensor)) {
      assertThatThrownBy(() -> builder.put("x", twin)).isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(tensor.isClosed()).isTrue();
    assertThat(twin.isClosed()).isFalse();
    twin.close();
  }
}

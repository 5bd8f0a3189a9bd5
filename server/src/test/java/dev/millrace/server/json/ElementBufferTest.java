package dev.millrace.server.json;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.testing.TensorLeakExtension;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class ElementBufferTest {
  @Test
  void tensor_keepsTheMemory_whenTheBufferIsClosed() {
    ElementBuffer buffer = new ElementBuffer(DataType.INT32, 64);
    buffer.addFixed().putInt(7);
    try (Tensor tensor = buffer.toTensor(Shape.of(1))) {
      buffer.close();
      try (PooledBuffer next = BufferPool.shared().take(64)) {
        next.view(64).putInt(8);
        assertThat(tensor.toInts()).containsExactly(7);
      }
    }
  }

  @Test
  void elements_areKept_whenTheBufferGrows() {
    char[] text = "né".toCharArray();
    try (ElementBuffer buffer = new ElementBuffer(DataType.BYTES, 0)) {
      for (int i = 0; i < 1000; i++) {
        assertThat(buffer.addText(text, 0, text.length)).isTrue();
        buffer.addBytes(2).put((byte) 'a').put((byte) 'b');
      }
      int size = buffer.size();
      buffer.repeat();
      buffer.repeat(size);
      try (Tensor tensor = buffer.toTensor(Shape.of(6000))) {
        assertThat(tensor.toStrings().subList(5996, 6000)).containsExactly("né", "ab", "né", "ab");
      }
    }
  }

  @Test
  void closing_givesTheMemoryBack() {
    long before = BufferPool.shared().usedBytes();
    new ElementBuffer(DataType.FP32, 64).close();
    assertThat(BufferPool.shared().usedBytes()).isEqualTo(before);
  }
}

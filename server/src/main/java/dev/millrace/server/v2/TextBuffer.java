package dev.millrace.server.v2;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import java.nio.ByteBuffer;

/** Collects texts as the elements of a BYTES tensor, in UTF-8. */
final class TextBuffer implements AutoCloseable {
  private static final int MAX_BYTES_PER_CHAR = 3;

  private PooledBuffer buffer;
  private ByteBuffer bytes;

  /** An empty buffer; {@code sizeHint} is how many bytes will probably come. */
  TextBuffer(long sizeHint) {
    buffer = BufferPool.shared().take(Math.clamp(sizeHint, 64, 1 << 20));
    bytes = buffer.view(buffer.capacity());
  }

  /**
   * Adds an element.
   *
   * @return whether it is well-formed; if it is not, the buffer is not to be used
   */
  boolean add(char[] chars, int offset, int length) {
    reserve(4L + (long) length * MAX_BYTES_PER_CHAR);
    ByteBuffer out = bytes;
    int start = out.position();
    int at = start + 4;
    int end = offset + length;
    for (int i = offset; i < end; i++) {
      char c = chars[i];
      if (c < 0x80) {
        out.put(at++, (byte) c);
      } else if (c < 0x800) {
        out.put(at++, (byte) (0xC0 | (c >> 6)));
        out.put(at++, (byte) (0x80 | (c & 0x3F)));
      } else if (!Character.isSurrogate(c)) {
        out.put(at++, (byte) (0xE0 | (c >> 12)));
        out.put(at++, (byte) (0x80 | (c >> 6 & 0x3F)));
        out.put(at++, (byte) (0x80 | (c & 0x3F)));
      } else if (i + 1 < end && Character.isSurrogatePair(c, chars[i + 1])) {
        int point = Character.toCodePoint(c, chars[++i]);
        out.put(at++, (byte) (0xF0 | (point >> 18)));
        out.put(at++, (byte) (0x80 | (point >> 12 & 0x3F)));
        out.put(at++, (byte) (0x80 | (point >> 6 & 0x3F)));
        out.put(at++, (byte) (0x80 | (point & 0x3F)));
      } else {
        return false;
      }
    }
    out.putInt(start, at - start - 4);
    out.position(at);
    return true;
  }

  private void reserve(long more) {
    long needed = bytes.position() + more;
    if (needed <= bytes.capacity()) {
      return;
    }
    if (needed > Integer.MAX_VALUE - 64) {
      throw new InferenceException(
          ErrorCode.RESOURCE_EXHAUSTED, "a BYTES tensor is beyond the limit of 2 GiB");
    }
    long size = Math.min(Integer.MAX_VALUE - 64L, Math.max(needed, 2L * bytes.capacity()));
    PooledBuffer larger = BufferPool.shared().take(size);
    ByteBuffer view = larger.view(larger.capacity());
    view.put(bytes.flip());
    buffer.close();
    buffer = larger;
    bytes = view;
  }

  /** The tensor of what was added, which takes the memory over. */
  Tensor toTensor(Shape shape) {
    return Tensor.wrap(DataType.BYTES, shape, bytes.flip(), buffer);
  }

  @Override
  public void close() {
    buffer.close();
  }
}

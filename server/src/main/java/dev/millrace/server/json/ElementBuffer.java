package dev.millrace.server.json;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Collects the elements of a tensor of which nobody knows yet how many they are. Texts are kept in
 * UTF-8.
 */
public final class ElementBuffer implements AutoCloseable {
  private static final int MAX_BYTES_PER_CHAR = 3;

  private final DataType type;
  private PooledBuffer buffer;
  private ByteBuffer bytes;
  private boolean isMoved;

  /** An empty buffer; {@code sizeHint} is how many bytes will probably come. */
  public ElementBuffer(DataType type, long sizeHint) {
    this.type = type;
    buffer = BufferPool.shared().take(Math.clamp(sizeHint, 64, 1 << 20));
    bytes = buffer.view(buffer.capacity());
  }

  /**
   * Adds the number or truth value at which the parser is.
   *
   * @return whether it was added
   */
  public Fit addNumber(JsonParser parser, JsonToken token) {
    int size = type.byteSize();
    reserve(size);
    int at = bytes.position();
    Fit fit = JsonNumbers.put(parser, token, type, bytes, at);
    if (fit == Fit.FITS) {
      bytes.position(at + size);
    }
    return fit;
  }

  /** Room for the next element of a fixed-size type, which the caller fills. */
  public ByteBuffer addFixed() {
    int size = type.byteSize();
    reserve(size);
    return advance(size);
  }

  /**
   * Adds a text.
   *
   * @return whether it is well-formed; if it is not, the buffer is not to be used
   */
  public boolean addText(char[] chars, int offset, int length) {
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

  /** Room for the next element of a BYTES tensor, of {@code size} bytes, which the caller fills. */
  public ByteBuffer addBytes(int size) {
    reserve(4L + size);
    bytes.putInt(size);
    return advance(size);
  }

  private ByteBuffer advance(int size) {
    ByteBuffer room = bytes.slice(bytes.position(), size).order(ByteOrder.LITTLE_ENDIAN);
    bytes.position(bytes.position() + size);
    return room;
  }

  /** Adds everything that is there once more. */
  public void repeat() {
    repeat(bytes.position());
  }

  /** Adds the first {@code size} bytes of what is there once more. */
  public void repeat(int size) {
    reserve(size);
    int end = bytes.position();
    bytes.put(end, bytes, 0, size);
    bytes.position(end + size);
  }

  /** Bytes added so far, the lengths of the elements included. */
  public int size() {
    return bytes.position();
  }

  private void reserve(long more) {
    long needed = bytes.position() + more;
    if (needed <= bytes.capacity()) {
      return;
    }
    if (needed > Integer.MAX_VALUE - 64) {
      throw new InferenceException(
          ErrorCode.RESOURCE_EXHAUSTED,
          "a tensor of %s is beyond the limit of 2 GiB".formatted(type));
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
  public Tensor toTensor(Shape shape) {
    Tensor tensor = Tensor.wrap(type, shape, bytes.flip(), buffer);
    isMoved = true;
    return tensor;
  }

  /** Frees the memory, unless a tensor has taken it over. */
  @Override
  public void close() {
    if (!isMoved) {
      buffer.close();
    }
  }
}

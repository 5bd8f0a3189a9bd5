package dev.millrace.backend.python;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.io.EOFException;
import java.io.IOException;
import java.net.ProtocolException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ReadableByteChannel;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Receives one frame after the other and takes it apart. What does not add up is a {@link
 * ProtocolException}. Used by one thread at a time.
 */
final class FrameReader {
  private static final int USUAL_BYTES = 128 << 10;

  private ByteBuffer buffer = allocate(USUAL_BYTES);

  /** Where the last frame ends. */
  private int end;

  /** Up to where the buffer was filled with it. */
  private int received;

  private static ByteBuffer allocate(int size) {
    return ByteBuffer.allocateDirect(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * Waits for a frame that is the only one that comes.
   *
   * @return its kind; its body is what the other methods read
   * @throws EOFException if the other end is gone
   */
  byte receive(ReadableByteChannel channel) throws IOException {
    byte kind = receiveOneOfMany(channel);
    if (received > end) {
      throw new ProtocolException("more than one answer");
    }
    return kind;
  }

  /** As {@link #receive}, where others may follow at once. */
  byte receiveOneOfMany(ReadableByteChannel channel) throws IOException {
    keepRest();
    readTo(channel, Frame.HEAD_BYTES);
    int length = buffer.getInt(0);
    if (length < 1 || length > Integer.MAX_VALUE - 16) {
      throw new ProtocolException("a frame of %d bytes".formatted(length));
    }
    end = Integer.BYTES + length;
    if (end > buffer.capacity()) {
      ByteBuffer larger = allocate(end);
      buffer = larger.put(buffer.flip());
    }
    readTo(channel, end);
    received = buffer.position();
    byte kind = buffer.get(Integer.BYTES);
    buffer.limit(end).position(Frame.HEAD_BYTES);
    return kind;
  }

  /** What came along with the last frame is the start of the next. */
  private void keepRest() {
    ByteBuffer rest = buffer.limit(received).position(end);
    if (buffer.capacity() > USUAL_BYTES && rest.remaining() <= USUAL_BYTES) {
      buffer = allocate(USUAL_BYTES).put(rest);
    } else {
      buffer = rest.compact();
    }
    end = 0;
    received = 0;
  }

  private void readTo(ReadableByteChannel channel, int wanted) throws IOException {
    while (buffer.position() < wanted) {
      if (channel.read(buffer) < 0) {
        throw new EOFException("the connection is closed");
      }
    }
  }

  private interface Part<T> {
    T read();
  }

  private static <T> T part(Part<T> part) throws ProtocolException {
    try {
      return part.read();
    } catch (BufferUnderflowException | IllegalArgumentException e) {
      ProtocolException failure = new ProtocolException("a frame that does not add up: " + e);
      failure.initCause(e);
      throw failure;
    }
  }

  int int8() throws ProtocolException {
    return part(() -> Byte.toUnsignedInt(buffer.get()));
  }

  int int16() throws ProtocolException {
    return part(() -> Short.toUnsignedInt(buffer.getShort()));
  }

  int int32() throws ProtocolException {
    return part(buffer::getInt);
  }

  long int64() throws ProtocolException {
    return part(buffer::getLong);
  }

  String text() throws ProtocolException {
    int length = int32();
    if (length < 0 || length > buffer.remaining()) {
      throw new ProtocolException("a text of %d bytes".formatted(length));
    }
    byte[] bytes = new byte[length];
    buffer.get(bytes);
    return new String(bytes, UTF_8);
  }

  /** All that is left of the frame, as a copy. */
  ByteBuffer rest() {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.get(bytes);
    return ByteBuffer.wrap(bytes).asReadOnlyBuffer();
  }

  Map<String, String> texts() throws ProtocolException {
    Map<String, String> texts = new LinkedHashMap<>();
    for (int count = int16(); count > 0; count--) {
      texts.put(text(), text());
    }
    return texts;
  }

  /**
   * Heads and contents.
   *
   * @param memory where the contents are; null if they follow
   * @return copies, which the caller closes
   */
  TensorMap tensors(@Nullable ByteBuffer memory) throws ProtocolException {
    int count = int16();
    String[] names = new String[count];
    DataType[] types = new DataType[count];
    Shape[] shapes = new Shape[count];
    long[] sizes = new long[count];
    for (int i = 0; i < count; i++) {
      names[i] = text();
      types[i] = WireTypes.of(int8());
      long[] dims = new long[int8()];
      for (int d = 0; d < dims.length; d++) {
        dims[d] = int64();
      }
      shapes[i] = shape(dims);
      sizes[i] = int64();
    }
    ByteBuffer contents = memory == null ? buffer : memory;
    int at = memory == null ? buffer.position() : 0;
    try (TensorMap.Builder tensors = TensorMap.builder()) {
      for (int i = 0; i < count; i++) {
        if (sizes[i] < 0 || sizes[i] > contents.limit() - at) {
          throw new ProtocolException(
              "contents of %d bytes where %d are left".formatted(sizes[i], contents.limit() - at));
        }
        int size = (int) sizes[i];
        tensors.put(names[i], Tensor.copyOf(types[i], shapes[i], contents.slice(at, size)));
        at = (int) (memory == null ? at + size : Frame.aligned(at + (long) size));
      }
      return tensors.build();
    } catch (InferenceException | IllegalArgumentException e) {
      ProtocolException failure = new ProtocolException(e.getMessage());
      failure.initCause(e);
      throw failure;
    }
  }

  private static Shape shape(long[] dims) throws ProtocolException {
    try {
      return Shape.of(dims);
    } catch (RuntimeException e) {
      ProtocolException failure = new ProtocolException(e.getMessage());
      failure.initCause(e);
      throw failure;
    }
  }
}

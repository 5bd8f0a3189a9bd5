package dev.millrace.backend.python;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.Parameters;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.util.Map;

/** Puts one frame after the other together and sends it. Used by one thread at a time. */
final class FrameWriter {
  private static final int USUAL_BYTES = 128 << 10;

  private ByteBuffer buffer;

  FrameWriter() {
    this(USUAL_BYTES);
  }

  FrameWriter(int size) {
    this.buffer = allocate(size);
  }

  private static ByteBuffer allocate(int size) {
    return ByteBuffer.allocateDirect(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  FrameWriter begin(byte kind) {
    if (buffer.capacity() > USUAL_BYTES) {
      buffer = allocate(USUAL_BYTES);
    }
    buffer.clear().position(Integer.BYTES);
    buffer.put(kind);
    return this;
  }

  /** Makes room for so many more bytes. */
  private ByteBuffer room(long size) {
    if (buffer.remaining() < size) {
      long needed = buffer.position() + size;
      ByteBuffer larger =
          allocate(Math.toIntExact(Math.max(needed, Math.min(2L * needed, Integer.MAX_VALUE - 8))));
      buffer = larger.put(buffer.flip());
    }
    return buffer;
  }

  FrameWriter int8(int value) {
    room(1).put((byte) value);
    return this;
  }

  FrameWriter int16(int value) {
    room(2).putShort((short) value);
    return this;
  }

  FrameWriter int64(long value) {
    room(8).putLong(value);
    return this;
  }

  FrameWriter text(String text) {
    byte[] bytes = text.getBytes(UTF_8);
    room(4L + bytes.length).putInt(bytes.length).put(bytes);
    return this;
  }

  FrameWriter texts(Map<String, String> texts) {
    int16(texts.size());
    texts.forEach((key, value) -> text(key).text(value));
    return this;
  }

  FrameWriter heads(TensorMap tensors) {
    int16(tensors.size());
    for (int i = 0; i < tensors.size(); i++) {
      Tensor tensor = tensors.tensor(i);
      text(tensors.name(i)).int8(WireTypes.number(tensor.dataType())).int8(tensor.shape().rank());
      for (long dim : tensor.shape().dims()) {
        int64(dim);
      }
      int64(tensor.byteSize());
    }
    return this;
  }

  FrameWriter parameters(Parameters parameters) {
    int16(parameters.asMap().size());
    parameters
        .asMap()
        .forEach((key, value) -> {
          text(key);
          switch (value) {
            case Boolean flag -> int8(1).int8(flag ? 1 : 0);
            case Long number -> int8(2).int64(number);
            case Double number -> int8(3).int64(Double.doubleToRawLongBits(number));
            default -> int8(0).text(value.toString());
          }
        });
    return this;
  }

  FrameWriter contents(TensorMap tensors) {
    for (int i = 0; i < tensors.size(); i++) {
      ByteBuffer data = tensors.tensor(i).data();
      room(data.remaining()).put(data);
    }
    return this;
  }

  FrameWriter bytes(ByteBuffer bytes) {
    room(bytes.remaining()).put(bytes.duplicate());
    return this;
  }

  /** Sends the frame; blocks. */
  void send(WritableByteChannel channel) throws IOException {
    buffer.putInt(0, buffer.position() - Integer.BYTES);
    buffer.flip();
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
  }
}

package dev.millrace.testing;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.util.function.Consumer;

/** Writes one protobuf message, field by field, in the order of the calls. Not thread-safe. */
public final class ProtobufWriter {
  private static final int VARINT = 0;
  private static final int LENGTH_DELIMITED = 2;
  private static final int FIXED32 = 5;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  /** An empty message. */
  public ProtobufWriter() {}

  /** A whole number, a truth value or an enum's number; a negative one as of an int64. */
  public ProtobufWriter integer(int field, long value) {
    tag(field, VARINT);
    varint(value);
    return this;
  }

  /** A float. */
  public ProtobufWriter fixed32(int field, float value) {
    tag(field, FIXED32);
    int bits = Float.floatToIntBits(value);
    for (int shift = 0; shift < 32; shift += 8) {
      out.write(bits >>> shift);
    }
    return this;
  }

  /** Bytes. */
  public ProtobufWriter bytes(int field, byte[] value) {
    tag(field, LENGTH_DELIMITED);
    varint(value.length);
    out.writeBytes(value);
    return this;
  }

  /** A text. */
  public ProtobufWriter string(int field, String value) {
    return bytes(field, value.getBytes(UTF_8));
  }

  /** A message within this one. */
  public ProtobufWriter message(int field, Consumer<ProtobufWriter> content) {
    ProtobufWriter message = new ProtobufWriter();
    content.accept(message);
    return bytes(field, message.toByteArray());
  }

  /** What was written. */
  public byte[] toByteArray() {
    return out.toByteArray();
  }

  private void tag(int field, int wireType) {
    varint(((long) field << 3) | wireType);
  }

  private void varint(long value) {
    long rest = value;
    while ((rest & ~0x7FL) != 0) {
      out.write((int) ((rest & 0x7F) | 0x80));
      rest >>>= 7;
    }
    out.write((int) rest);
  }
}

package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link Sink} sends: encoded, and free of tensors. Immutable by agreement: nobody writes to
 * its arrays.
 *
 * @param model the name of the model that it is about
 * @param topic where it goes, for sinks that know topics
 * @param timeMillis when what it tells of happened, since 1970
 * @param key null for none
 * @param headers in order; names in lower case
 */
@SuppressWarnings("ArrayRecordComponent") // by agreement, as said
public record LogMessage(
    String model,
    String topic,
    long timeMillis,
    byte @Nullable [] key,
    List<Header> headers,
    byte[] value) {

  /** A header: {@code content-type}, CloudEvents' {@code ce_…}, and those of this server. */
  @SuppressWarnings("ArrayRecordComponent")
  public record Header(String name, byte[] value) {
    static Header of(String name, String value) {
      return new Header(name, value.getBytes(UTF_8));
    }

    /** The value as text. */
    public String text() {
      return new String(value, UTF_8);
    }
  }

  public LogMessage {
    headers = List.copyOf(headers);
  }

  /** What the message counts for in a bound on memory. */
  public long byteSize() {
    long size = 128L + value.length + (key == null ? 0 : key.length);
    for (Header header : headers) {
      size += 48L + header.name().length() + header.value().length;
    }
    return size;
  }

  /** The text of the first header of that name; null if there is none. */
  public @Nullable String header(String name) {
    for (Header header : headers) {
      if (header.name().equals(name)) {
        return header.text();
      }
    }
    return null;
  }

  /** The message as bytes, for the disk. */
  byte[] toBytes() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(value.length + 512);
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      text(out, model);
      text(out, topic);
      out.writeLong(timeMillis);
      block(out, key);
      out.writeInt(headers.size());
      for (Header header : headers) {
        text(out, header.name());
        block(out, header.value());
      }
      block(out, value);
    } catch (IOException e) {
      throw new UncheckedIOException(e); // not to an array
    }
    return bytes.toByteArray();
  }

  private static void text(DataOutputStream out, String text) throws IOException {
    block(out, text.getBytes(UTF_8));
  }

  private static void block(DataOutputStream out, byte @Nullable [] bytes) throws IOException {
    out.writeInt(bytes == null ? -1 : bytes.length);
    if (bytes != null) {
      out.write(bytes);
    }
  }

  /**
   * The message that {@link #toBytes} wrote.
   *
   * @throws IOException if it did not write these bytes
   */
  static LogMessage ofBytes(byte[] bytes) throws IOException {
    try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
      String model = text(in);
      String topic = text(in);
      long time = in.readLong();
      byte[] key = block(in);
      List<Header> headers = new ArrayList<>();
      for (int left = in.readInt(); left > 0; left--) {
        headers.add(new Header(text(in), required(in)));
      }
      return new LogMessage(model, topic, time, key, headers, required(in));
    }
  }

  private static String text(DataInputStream in) throws IOException {
    return new String(required(in), UTF_8);
  }

  private static byte[] required(DataInputStream in) throws IOException {
    byte[] block = block(in);
    if (block == null) {
      throw new IOException("a part of the message is missing");
    }
    return block;
  }

  private static byte @Nullable [] block(DataInputStream in) throws IOException {
    int length = in.readInt();
    if (length == -1) {
      return null;
    }
    if (length < 0 || length > in.available()) {
      throw new IOException("a part of the message has no legal length: " + length);
    }
    return in.readNBytes(length);
  }
}

package dev.millrace.server.http;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.util.AsciiString;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Writes status line and headers into the room that a body's buffer has before it, so that a small
 * answer is one buffer. One per connection.
 */
final class ResponseHead {
  /** Room that is left before a body; longer heads get a buffer of their own. */
  private static final int ROOM = 320;

  private static final byte[][] STATUS_LINES = new byte[600][];

  static {
    for (int code = 100; code < 600; code++) {
      String reason =
          code == 499 ? "Client Closed Request" : HttpResponseStatus.valueOf(code).reasonPhrase();
      STATUS_LINES[code] = ascii("HTTP/1.1 " + code + " " + reason + "\r\n");
    }
  }

  private static final byte[] CONTENT_TYPE = ascii("Content-Type: ");
  private static final byte[] CONTENT_LENGTH = ascii("Content-Length: ");
  private static final byte[] CLOSE = ascii("Connection: close\r\n");
  private static final byte[] KEEP_ALIVE = ascii("Connection: keep-alive\r\n");
  private static final byte[] GZIP = ascii("Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n");
  private static final byte[] DEFLATE =
      ascii("Content-Encoding: deflate\r\nVary: Accept-Encoding\r\n");
  private static final byte[] END_OF_LINE = ascii("\r\n");

  private byte[] bytes = new byte[ROOM];
  private int length;

  private static byte[] ascii(String text) {
    return text.getBytes(US_ASCII);
  }

  /** A buffer for a body with room for a head before it. */
  static ByteBuf newBody(ByteBufAllocator allocator, int size) {
    return allocator.directBuffer(ROOM + size).setIndex(ROOM, ROOM);
  }

  /** Begins a head. */
  ResponseHead begin(int status) {
    length = 0;
    return add(STATUS_LINES[status]);
  }

  ResponseHead contentType(@Nullable AsciiString type) {
    if (type != null) {
      add(CONTENT_TYPE);
      reserve(type.length());
      System.arraycopy(type.array(), type.arrayOffset(), bytes, length, type.length());
      length += type.length();
      add(END_OF_LINE);
    }
    return this;
  }

  ResponseHead contentLength(long size) {
    return add(CONTENT_LENGTH).number(size).add(END_OF_LINE);
  }

  ResponseHead contentEncoding(ContentEncoding encoding) {
    return switch (encoding) {
      case IDENTITY -> this;
      case GZIP -> add(GZIP);
      case DEFLATE -> add(DEFLATE);
    };
  }

  /** Says what becomes of the connection, where that is not the version's default. */
  ResponseHead connection(boolean close, boolean http10) {
    return close ? add(CLOSE) : http10 ? add(KEEP_ALIVE) : this;
  }

  /** Any other header; line ends in the value become blanks. */
  ResponseHead header(CharSequence name, CharSequence value) {
    return text(name).text(": ").text(value).add(END_OF_LINE);
  }

  private ResponseHead add(byte[] text) {
    reserve(text.length);
    System.arraycopy(text, 0, bytes, length, text.length);
    length += text.length;
    return this;
  }

  private ResponseHead text(CharSequence text) {
    reserve(text.length());
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      bytes[length++] = (byte) (c >= ' ' && c < 0x7f ? c : ' ');
    }
    return this;
  }

  private ResponseHead number(long value) {
    reserve(20);
    int count = 1;
    for (long bound = 10; value >= bound; bound *= 10) {
      count++;
    }
    long rest = value;
    for (int i = length + count - 1; i >= length; i--) {
      bytes[i] = (byte) ('0' + rest % 10);
      rest /= 10;
    }
    length += count;
    return this;
  }

  private void reserve(int more) {
    if (bytes.length - length < more) {
      bytes = Arrays.copyOf(bytes, Math.max(bytes.length * 2, length + more));
    }
  }

  /**
   * Ends the head and puts it before {@code body}, which is taken over.
   *
   * @return a buffer with both, {@code body} itself if it has the room
   */
  ByteBuf before(ByteBuf body) {
    add(END_OF_LINE);
    if (body.readerIndex() >= length) {
      int start = body.readerIndex() - length;
      return body.setBytes(start, bytes, 0, length).readerIndex(start);
    }
    ByteBuf head = body.alloc().directBuffer(length).writeBytes(bytes, 0, length);
    return Unpooled.wrappedBuffer(head, body);
  }

  /** Bytes of the head that was ended last. */
  int length() {
    return length;
  }
}

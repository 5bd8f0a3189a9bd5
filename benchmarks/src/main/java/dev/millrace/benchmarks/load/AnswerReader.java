package dev.millrace.benchmarks.load;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.netty.buffer.ByteBuf;
import java.util.Locale;

/**
 * Reads the answers of one HTTP/1.1 connection as cheaply as it can: of the head only the status
 * and the lengths, of the body nothing but how much came. Not thread-safe.
 */
final class AnswerReader {
  private static final int MAX_HEAD = 16 << 10;
  private static final int END_OF_HEAD = '\r' << 24 | '\n' << 16 | '\r' << 8 | '\n';
  private static final byte[] CONTENT_LENGTH = "\ncontent-length:".getBytes(ISO_8859_1);
  private static final byte[] JSON_LENGTH =
      "\ninference-header-content-length:".getBytes(ISO_8859_1);

  private final byte[] head = new byte[MAX_HEAD];
  private int headLength;
  private int lastFour;
  private boolean inBody;
  private int status;
  private int tensorBytes;
  private int left;

  /**
   * Reads on, up to the end of an answer.
   *
   * @return whether an answer is complete, so that the next call begins another one
   * @throws IllegalStateException if this is not HTTP/1.1 with a Content-Length
   */
  boolean read(ByteBuf in) {
    if (!inBody && !readHead(in)) {
      return false;
    }
    int skipped = Math.min(left, in.readableBytes());
    in.skipBytes(skipped);
    left -= skipped;
    inBody = left > 0;
    return !inBody;
  }

  /** Of the answer read last. */
  int status() {
    return status;
  }

  /** Bytes of the tensors of the answer read last; of the body, if there is no JSON in front. */
  int tensorBytes() {
    return tensorBytes;
  }

  private boolean readHead(ByteBuf in) {
    while (in.isReadable()) {
      if (headLength == MAX_HEAD) {
        throw new IllegalStateException("a head longer than " + MAX_HEAD);
      }
      byte next = in.readByte();
      head[headLength++] = next;
      lastFour = lastFour << 8 | next;
      if (lastFour == END_OF_HEAD) {
        parseHead();
        headLength = 0;
        lastFour = 0;
        inBody = true;
        return true;
      }
    }
    return false;
  }

  private void parseHead() {
    if (headLength < 16 || head[0] != 'H' || head[8] != ' ') {
      throw notReadable();
    }
    status = number(9);
    int length = -1;
    int json = 0;
    for (int i = 12; i < headLength; i++) {
      if (head[i] == '\n') {
        if (isHeader(CONTENT_LENGTH, i)) {
          length = value(i + CONTENT_LENGTH.length);
        } else if (isHeader(JSON_LENGTH, i)) {
          json = value(i + JSON_LENGTH.length);
        }
      }
    }
    if (length < 0) {
      throw notReadable();
    }
    tensorBytes = length - json;
    left = length;
  }

  private boolean isHeader(byte[] name, int from) {
    if (from + name.length >= headLength) {
      return false;
    }
    for (int i = 1; i < name.length; i++) {
      int letter = head[from + i];
      if ((letter >= 'A' && letter <= 'Z' ? letter + 32 : letter) != name[i]) {
        return false;
      }
    }
    return true;
  }

  private int value(int from) {
    int digits = from;
    while (head[digits] == ' ') {
      digits++;
    }
    return number(digits);
  }

  private int number(int from) {
    int number = 0;
    for (int i = from; head[i] >= '0' && head[i] <= '9'; i++) {
      number = Math.addExact(Math.multiplyExact(number, 10), head[i] - '0');
    }
    return number;
  }

  private IllegalStateException notReadable() {
    return new IllegalStateException(
        String.format(
            Locale.ROOT,
            "not an HTTP/1.1 answer with a Content-Length: %s",
            new String(head, 0, headLength, ISO_8859_1)));
  }
}

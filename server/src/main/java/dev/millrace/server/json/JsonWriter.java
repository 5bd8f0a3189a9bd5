package dev.millrace.server.json;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.util.concurrent.FastThreadLocal;
import java.nio.ByteBuffer;

/**
 * Writes compact JSON in UTF-8 to a {@link ByteBuf} without garbage: no text is made of a number on
 * the way. Puts the commas; that objects and arrays are closed is the caller's care.
 *
 * <p>One per thread, for one document at a time: {@link #to} begins it, {@link #finish} ends it.
 */
public final class JsonWriter {
  private static final FastThreadLocal<JsonWriter> OWN =
      new FastThreadLocal<>() {
        @Override
        protected JsonWriter initialValue() {
          return new JsonWriter();
        }
      };

  private static final byte[] HEX = "0123456789abcdef".getBytes(US_ASCII);
  private static final byte[] BASE64 =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".getBytes(US_ASCII);
  private static final byte[] MIN_LONG = Long.toString(Long.MIN_VALUE).getBytes(US_ASCII);

  /** Room for a comma and the longest text of a number or an escape. */
  private static final int LONGEST = 1 + FloatText.MOST_BYTES;

  /** What is written and not yet in {@link #out}: plain array stores are the fastest. */
  private final byte[] pending = new byte[8192];

  private final StringBuilder decimal = new StringBuilder(LONGEST);
  private int length;
  private ByteBuf out = Unpooled.EMPTY_BUFFER;

  /** Whether the next value or name needs a comma before it. */
  private boolean comma;

  private JsonWriter() {}

  /** This thread's writer, at the start of a document that goes to the end of {@code out}. */
  public static JsonWriter to(ByteBuf out) {
    JsonWriter writer = OWN.get();
    writer.out = out;
    writer.length = 0;
    writer.comma = false;
    return writer;
  }

  /** Brings everything written to the buffer. */
  public void finish() {
    flush();
    out = Unpooled.EMPTY_BUFFER;
  }

  private void flush() {
    out.writeBytes(pending, 0, length);
    length = 0;
  }

  private void reserve(int bytes) {
    if (pending.length - length < bytes) {
      flush();
    }
  }

  private void separate() {
    reserve(LONGEST);
    if (comma) {
      pending[length++] = ',';
    }
    comma = true;
  }

  public JsonWriter beginObject() {
    return begin('{');
  }

  public JsonWriter endObject() {
    return end('}');
  }

  public JsonWriter beginArray() {
    return begin('[');
  }

  public JsonWriter endArray() {
    return end(']');
  }

  private JsonWriter begin(char bracket) {
    separate();
    pending[length++] = (byte) bracket;
    comma = false;
    return this;
  }

  private JsonWriter end(char bracket) {
    reserve(1);
    pending[length++] = (byte) bracket;
    comma = true;
    return this;
  }

  /** A member's name. */
  public JsonWriter name(String name) {
    string(name);
    reserve(1);
    pending[length++] = ':';
    comma = false;
    return this;
  }

  /** A text; an unpaired surrogate becomes U+FFFD. */
  public JsonWriter string(String text) {
    separate();
    pending[length++] = '"';
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      reserve(LONGEST);
      if (c < 0x80) {
        ascii((byte) c);
      } else if (c < 0x800) {
        pending[length++] = (byte) (0xC0 | (c >> 6));
        pending[length++] = (byte) (0x80 | (c & 0x3F));
      } else if (Character.isHighSurrogate(c)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        int point = Character.toCodePoint(c, text.charAt(++i));
        pending[length++] = (byte) (0xF0 | (point >> 18));
        pending[length++] = (byte) (0x80 | (point >> 12 & 0x3F));
        pending[length++] = (byte) (0x80 | (point >> 6 & 0x3F));
        pending[length++] = (byte) (0x80 | (point & 0x3F));
      } else {
        char shown = Character.isSurrogate(c) ? '\uFFFD' : c;
        pending[length++] = (byte) (0xE0 | (shown >> 12));
        pending[length++] = (byte) (0x80 | (shown >> 6 & 0x3F));
        pending[length++] = (byte) (0x80 | (shown & 0x3F));
      }
    }
    reserve(1);
    pending[length++] = '"';
    return this;
  }

  /**
   * A text that is UTF-8 already.
   *
   * @return whether it is; if not, what was written so far is not to be used
   */
  public boolean utf8(ByteBuffer text, int start, int size) {
    separate();
    pending[length++] = '"';
    int i = start;
    int end = start + size;
    while (i < end) {
      byte b = text.get(i);
      reserve(LONGEST);
      if (b >= 0) {
        ascii(b);
        i++;
      } else {
        int width = Utf8.width(text, i, end);
        if (width == 0) {
          return false;
        }
        for (int k = 0; k < width; k++) {
          pending[length++] = text.get(i++);
        }
      }
    }
    reserve(1);
    pending[length++] = '"';
    return true;
  }

  /** Whether these bytes are UTF-8, so that {@link #utf8} can write them. */
  public static boolean isUtf8(ByteBuffer text, int start, int size) {
    int end = start + size;
    for (int i = start; i < end; ) {
      int width = text.get(i) >= 0 ? 1 : Utf8.width(text, i, end);
      if (width == 0) {
        return false;
      }
      i += width;
    }
    return true;
  }

  /** Bytes as a text in Base64 (RFC 4648), with padding. */
  public JsonWriter base64(ByteBuffer bytes, int start, int size) {
    separate();
    pending[length++] = '"';
    int end = start + size;
    for (int i = start; i < end; i += 3) {
      reserve(LONGEST);
      int left = Math.min(3, end - i);
      int group = (bytes.get(i) & 0xFF) << 16;
      group |= left > 1 ? (bytes.get(i + 1) & 0xFF) << 8 : 0;
      group |= left > 2 ? bytes.get(i + 2) & 0xFF : 0;
      pending[length++] = BASE64[group >> 18];
      pending[length++] = BASE64[group >> 12 & 0x3F];
      pending[length++] = left > 1 ? BASE64[group >> 6 & 0x3F] : (byte) '=';
      pending[length++] = left > 2 ? BASE64[group & 0x3F] : (byte) '=';
    }
    reserve(1);
    pending[length++] = '"';
    return this;
  }

  /** A value that is JSON already. */
  public JsonWriter raw(ByteBuffer value, int start, int size) {
    separate();
    for (int i = start; i < start + size; i++) {
      reserve(1);
      pending[length++] = value.get(i);
    }
    return this;
  }

  private void ascii(byte c) {
    if (c >= 0x20 && c != '"' && c != '\\') {
      pending[length++] = c;
      return;
    }
    pending[length++] = '\\';
    switch (c) {
      case '"', '\\' -> pending[length++] = c;
      case '\n' -> pending[length++] = 'n';
      case '\r' -> pending[length++] = 'r';
      case '\t' -> pending[length++] = 't';
      case '\b' -> pending[length++] = 'b';
      case '\f' -> pending[length++] = 'f';
      default -> {
        pending[length++] = 'u';
        pending[length++] = '0';
        pending[length++] = '0';
        pending[length++] = HEX[c >> 4];
        pending[length++] = HEX[c & 0xF];
      }
    }
  }

  public JsonWriter bool(boolean value) {
    separate();
    return text(value ? "true" : "false");
  }

  /** A null. */
  public JsonWriter nothing() {
    separate();
    return text("null");
  }

  /** A whole number. */
  public JsonWriter number(long value) {
    separate();
    if (value >= 0) {
      digits(value);
    } else if (value == Long.MIN_VALUE) {
      System.arraycopy(MIN_LONG, 0, pending, length, MIN_LONG.length);
      length += MIN_LONG.length;
    } else {
      pending[length++] = '-';
      digits(-value);
    }
    return this;
  }

  /** A whole number of 64 bits without a sign. */
  public JsonWriter unsigned(long value) {
    separate();
    if (value < 0) {
      long tenth = Long.divideUnsigned(value, 10);
      digits(tenth);
      pending[length++] = (byte) ('0' + (value - tenth * 10));
    } else {
      digits(value);
    }
    return this;
  }

  private void digits(long value) {
    int count = 1;
    for (long bound = 10; value >= bound && count < 19; bound *= 10) {
      count++;
    }
    long rest = value;
    for (int i = length + count - 1; i >= length; i--) {
      long tenth = rest / 10;
      pending[i] = (byte) ('0' + (rest - tenth * 10));
      rest = tenth;
    }
    length += count;
  }

  /** The shortest text that reads back as this value; NaN and the infinities bare. */
  public JsonWriter number(float value) {
    separate();
    int end = FloatText.write(value, pending, length);
    if (end > length) {
      length = end;
      return this;
    }
    decimal.setLength(0);
    decimal.append(value);
    return text(decimal);
  }

  /** The shortest text that reads back as this value; NaN and the infinities bare. */
  public JsonWriter number(double value) {
    separate();
    decimal.setLength(0);
    decimal.append(value);
    return text(decimal);
  }

  private JsonWriter text(CharSequence ascii) {
    for (int i = 0; i < ascii.length(); i++) {
      pending[length++] = (byte) ascii.charAt(i);
    }
    return this;
  }
}

package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;

/**
 * Writes compact JSON in UTF-8 to memory that is used again. Puts the commas; that objects and
 * arrays are closed is the caller's care. For one thread, and one document at a time: {@link
 * #begin} begins it.
 */
final class JsonWriter {
  private static final int SMALLEST = 4096;

  /** More than this is not kept for the next document. */
  private static final int MOST_KEPT = 1 << 20;

  /** Longest text of a number, an escape or a character, with the comma before it. */
  private static final int LONGEST = 32;

  private static final String HEX = "0123456789abcdef";

  /** Texts that are remembered at most. */
  private static final int MOST_KNOWN = 1024;

  /** The longest of them: some are a client's. */
  private static final int LONGEST_KNOWN = 128;

  private final StringBuilder decimal = new StringBuilder(LONGEST);
  private final Map<String, byte[]> known = new HashMap<>();
  private byte[] bytes = new byte[SMALLEST];
  private int length;

  /** Whether the next value or name needs a comma before it. */
  private boolean comma;

  /** Forgets what was written. */
  JsonWriter begin() {
    if (bytes.length > MOST_KEPT) {
      bytes = new byte[SMALLEST];
    }
    length = 0;
    comma = false;
    return this;
  }

  int length() {
    return length;
  }

  /** What is written, at the start of it; valid until more is. */
  @SuppressWarnings("EI_EXPOSE_REP")
  byte[] array() {
    return bytes;
  }

  /** A copy of what is written. */
  byte[] toBytes() {
    return Arrays.copyOf(bytes, length);
  }

  private void reserve(int count) {
    if (bytes.length - length < count) {
      bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, Math.addExact(length, count)));
    }
  }

  private void separate() {
    reserve(LONGEST);
    if (comma) {
      bytes[length++] = ',';
    }
    comma = true;
  }

  JsonWriter beginObject() {
    return open('{');
  }

  JsonWriter endObject() {
    return close('}');
  }

  JsonWriter beginArray() {
    return open('[');
  }

  JsonWriter endArray() {
    return close(']');
  }

  private JsonWriter open(char bracket) {
    separate();
    bytes[length++] = (byte) bracket;
    comma = false;
    return this;
  }

  private JsonWriter close(char bracket) {
    reserve(1);
    bytes[length++] = (byte) bracket;
    comma = true;
    return this;
  }

  /** A member's name, remembered as with {@link #known}. */
  JsonWriter name(String name) {
    known(name);
    bytes[length++] = ':';
    comma = false;
    return this;
  }

  /**
   * As {@link #string}, for a text that comes again and again: how it is written is remembered,
   * unless it is long.
   */
  JsonWriter known(String text) {
    if (text.length() > LONGEST_KNOWN) {
      return string(text);
    }
    byte[] quoted = known.get(text);
    if (quoted == null) {
      quoted = new JsonWriter().string(text).toBytes();
      if (known.size() >= MOST_KNOWN) {
        known.clear();
      }
      known.put(text, quoted);
    }
    return raw(quoted);
  }

  /** A text; what is no character becomes a question mark. */
  JsonWriter string(String text) {
    return string(text.getBytes(UTF_8));
  }

  /** A text in UTF-8. */
  JsonWriter string(byte[] units) {
    separate();
    reserve(units.length + LONGEST);
    bytes[length++] = '"';
    int plain = 0;
    while (plain < units.length && isPlain(units[plain])) {
      plain++;
    }
    System.arraycopy(units, 0, bytes, length, plain);
    length += plain;
    for (int i = plain; i < units.length; i++) {
      reserve(LONGEST + units.length - i);
      unit(units[i]);
    }
    bytes[length++] = '"';
    return this;
  }

  private static boolean isPlain(byte unit) {
    return (unit >= 0x20 || unit < 0) && unit != '"' && unit != '\\';
  }

  /** A byte of a text in UTF-8. */
  private void unit(byte unit) {
    if (isPlain(unit)) {
      bytes[length++] = unit;
      return;
    }
    bytes[length++] = '\\';
    switch (unit) {
      case '"', '\\' -> bytes[length++] = unit;
      case '\n' -> bytes[length++] = 'n';
      case '\r' -> bytes[length++] = 'r';
      case '\t' -> bytes[length++] = 't';
      case '\b' -> bytes[length++] = 'b';
      case '\f' -> bytes[length++] = 'f';
      default -> {
        bytes[length++] = 'u';
        bytes[length++] = '0';
        bytes[length++] = '0';
        bytes[length++] = (byte) HEX.charAt(unit >> 4);
        bytes[length++] = (byte) HEX.charAt(unit & 0xF);
      }
    }
  }

  /** Bytes as a text in Base64. */
  JsonWriter base64(byte[] data) {
    return string(Base64.getEncoder().encodeToString(data));
  }

  /** A value that is JSON already. */
  JsonWriter raw(byte[] json) {
    separate();
    reserve(json.length + LONGEST);
    System.arraycopy(json, 0, bytes, length, json.length);
    length += json.length;
    return this;
  }

  JsonWriter bool(boolean value) {
    separate();
    return text(value ? "true" : "false");
  }

  /** A whole number. */
  JsonWriter number(long value) {
    separate();
    decimal.setLength(0);
    decimal.append(value);
    return text(decimal);
  }

  /** A whole number of 64 bits without a sign. */
  JsonWriter unsigned(long value) {
    separate();
    return text(Long.toUnsignedString(value));
  }

  /** The shortest text that reads back as this value; of what is no number, its name. */
  JsonWriter number(float value) {
    if (!Float.isFinite(value)) {
      return string(Float.toString(value));
    }
    separate();
    decimal.setLength(0);
    decimal.append(value);
    return text(decimal);
  }

  /** The shortest text that reads back as this value; of what is no number, its name. */
  JsonWriter number(double value) {
    if (!Double.isFinite(value)) {
      return string(Double.toString(value));
    }
    separate();
    decimal.setLength(0);
    decimal.append(value);
    return text(decimal);
  }

  private JsonWriter text(CharSequence ascii) {
    for (int i = 0; i < ascii.length(); i++) {
      bytes[length++] = (byte) ascii.charAt(i);
    }
    return this;
  }
}

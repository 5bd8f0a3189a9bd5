package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
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

  /** Significant digits of which no two numbers lie within what is read as one float. */
  private static final int SURE_DIGITS = 7;

  private static final int WORD_DIGITS = 8;

  private static final VarHandle LONGS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private static final int[] POWERS = {
    1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000
  };

  /** Exact: the largest of a double's powers of ten is 10^22. */
  private static final double[] SCALES = {
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11
  };

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

  /** As {@link #string}, for a text that comes again and again: how it is written is remembered. */
  JsonWriter known(String text) {
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
    if (value < 0 || value > Integer.MAX_VALUE) {
      decimal.setLength(0);
      decimal.append(value);
      return text(decimal);
    }
    digits((int) value, countDigits((int) value));
    return this;
  }

  private static int countDigits(int value) {
    int count = 1;
    while (count < POWERS.length && value >= POWERS[count]) {
      count++;
    }
    return count;
  }

  /** The last {@code count} digits of a number that is not negative. */
  private void digits(int value, int count) {
    int rest = value;
    int left = count;
    for (; left > WORD_DIGITS; left--) {
      int power = left <= POWERS.length ? POWERS[left - 1] : Integer.MAX_VALUE;
      int digit = rest / power;
      bytes[length++] = (byte) ('0' + digit);
      rest -= digit * power;
    }
    word(rest * POWERS[WORD_DIGITS - left]);
    length += left;
  }

  /** Eight digits, of which the caller keeps as many as it wants. */
  private void word(int value) {
    // In one word: two numbers of four digits, four of two, eight of one, the first ones lowest.
    long fours = (value / 10_000) | ((long) (value % 10_000) << 32);
    long hundreds = ((fours * 10486) >>> 20) & 0x7f0000007fL; // by 100
    long twos = hundreds | ((fours - 100 * hundreds) << 16);
    long tens = ((twos * 103) >>> 10) & 0xf000f000f000fL; // by 10
    LONGS.set(bytes, length, (tens | ((twos - 10 * tens) << 8)) + 0x3030303030303030L);
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
    if (plain(value)) {
      return this;
    }
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

  /**
   * Writes what {@link Float#toString} says of a number from 0.001 on and below ten million, which
   * is most of what models see and say; false, and nothing is written, for others.
   *
   * <p>A decimal is read as the float that it is nearest to. So the text is the number rounded to
   * as few digits as leave it within half the distance to the next float. That takes no more than
   * nine digits, and a float times a power of ten up to 10^12 fits a double exactly: no step here
   * rounds but the one that is meant to.
   */
  private boolean plain(float value) {
    float size = Math.abs(value);
    if (!(size >= 0.001f && size < 1e7f)) {
      return false;
    }
    int before = size >= 1 ? countDigits((int) size) : 0;
    int after = size >= 1 ? SURE_DIGITS - before : SURE_DIGITS + leadingZeros(size);
    // Half the distance to the next float; below a power of two that one is half as far away.
    double reach = Math.ulp(size) * ((Float.floatToRawIntBits(size) & 0x7fffff) == 0 ? 0.25 : 0.5);
    after = Math.max(1, after);
    double scaled = size * SCALES[after];
    double whole = Math.rint(scaled);
    if (Math.abs(whole - scaled) < reach * SCALES[after]) {
      int digits = (int) whole;
      while (after > 1 && digits % 10 == 0) {
        digits /= 10;
        after--;
      }
      decimal(value < 0, digits, after);
      return true;
    }
    for (int more = 0; more < 2; more++) {
      after++;
      scaled = size * SCALES[after];
      whole = Math.rint(scaled);
      if (Math.abs(whole - scaled) < reach * SCALES[after]) {
        decimal(value < 0, (int) whole, after);
        return true;
      }
    }
    return false;
  }

  /** Zeros right behind the point of a number from 0.001 on and below 1. */
  private static int leadingZeros(float value) {
    return value >= 0.1f ? 0 : value >= 0.01f ? 1 : 2;
  }

  /** A number of which the last {@code after} digits stand behind the point. */
  private void decimal(boolean isNegative, int digits, int after) {
    if (isNegative) {
      bytes[length++] = '-';
    }
    int whole = after < POWERS.length ? digits / POWERS[after] : 0;
    int rest = after < POWERS.length ? digits - whole * POWERS[after] : digits;
    digits(whole, countDigits(whole));
    bytes[length++] = '.';
    digits(rest, after);
  }

  private JsonWriter text(CharSequence ascii) {
    for (int i = 0; i < ascii.length(); i++) {
      bytes[length++] = (byte) ascii.charAt(i);
    }
    return this;
  }
}

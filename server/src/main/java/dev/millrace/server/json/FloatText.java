package dev.millrace.server.json;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Writes the numbers that models mostly answer with, as {@link Float#toString} says them, straight
 * to bytes: those from 0.001 on and below ten million, and their negatives. Thread-safe.
 *
 * <p>A decimal is read as the float that it is nearest to. So the text is the number rounded to as
 * few digits as leave it within half the distance to the next float. That takes no more than nine
 * digits, and a float times a power of ten up to 10^12 fits a double exactly: no step here rounds
 * but the one that is meant to.
 */
final class FloatText {
  /** Bytes behind the start that may be overwritten. */
  static final int MOST_BYTES = 32;

  /** Significant digits of which no two numbers lie within what is read as one float. */
  private static final int SURE_DIGITS = 7;

  private static final int MOST_DIGITS = 9;
  private static final int WORD_DIGITS = 8;

  private static final VarHandle LONGS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private static final int[] POWERS = {
    1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000
  };

  /** Exact, as all powers of ten up to 10^22 are in a double. */
  private static final double[] SCALES = {
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11
  };

  private FloatText() {}

  /**
   * Writes a number.
   *
   * @return where its text ends; {@code start} if it is not one of those above, and nothing is
   *     written
   */
  static int write(float value, byte[] to, int start) {
    float size = Math.abs(value);
    if (!(size >= 0.001f && size < 1e7f)) {
      return start;
    }
    // Half the distance to the next float; below a power of two that one is half as far away.
    double reach = Math.ulp(size) * ((Float.floatToRawIntBits(size) & 0x7fffff) == 0 ? 0.25 : 0.5);
    int leading = leadingDigits(size);
    for (int digits = SURE_DIGITS; digits <= MOST_DIGITS; digits++) {
      int after = Math.max(1, digits - leading);
      double scaled = size * SCALES[after];
      double whole = Math.rint(scaled);
      if (Math.abs(whole - scaled) < reach * SCALES[after]) {
        int at = start;
        if (value < 0) {
          to[at++] = '-';
        }
        return decimal((int) whole, after, digits == SURE_DIGITS, to, at);
      }
    }
    return start;
  }

  /** Digits before the point; below 0.1 less than none, by the zeros right behind it. */
  private static int leadingDigits(float size) {
    return size >= 1 ? countDigits((int) size) : size >= 0.1f ? 0 : size >= 0.01f ? -1 : -2;
  }

  private static int countDigits(int value) {
    int count = 1;
    while (value >= POWERS[count]) {
      count++;
    }
    return count;
  }

  /** A number of which the last {@code after} digits stand behind the point. */
  private static int decimal(int number, int after, boolean mayEndInZeros, byte[] to, int start) {
    int digits = number;
    int behind = after;
    while (mayEndInZeros && behind > 1 && digits % 10 == 0) {
      digits /= 10;
      behind--;
    }
    int whole = behind < POWERS.length ? digits / POWERS[behind] : 0;
    int rest = behind < POWERS.length ? digits - whole * POWERS[behind] : digits;
    int at = digits(whole, countDigits(whole), to, start);
    to[at++] = '.';
    return digits(rest, behind, to, at);
  }

  /** The last {@code count} digits of a number. */
  private static int digits(int value, int count, byte[] to, int start) {
    int at = start;
    int rest = value;
    int left = count;
    for (; left > WORD_DIGITS; left--) {
      int power = left <= POWERS.length ? POWERS[left - 1] : Integer.MAX_VALUE;
      int digit = rest / power;
      to[at++] = (byte) ('0' + digit);
      rest -= digit * power;
    }
    word(rest * POWERS[WORD_DIGITS - left], to, at);
    return at + left;
  }

  /** Eight digits, of which the caller keeps as many as it wants. */
  private static void word(int value, byte[] to, int at) {
    // In one word: two numbers of four digits, four of two, eight of one, the first ones lowest.
    long fours = (value / 10_000) | ((long) (value % 10_000) << 32);
    long hundreds = ((fours * 10486) >>> 20) & 0x7f0000007fL; // by 100
    long twos = hundreds | ((fours - 100 * hundreds) << 16);
    long tens = ((twos * 103) >>> 10) & 0xf000f000f000fL; // by 10
    LONGS.set(to, at, (tens | ((twos - 10 * tens) << 8)) + 0x3030303030303030L);
  }
}

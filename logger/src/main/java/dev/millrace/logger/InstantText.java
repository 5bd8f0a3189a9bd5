package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.time.Instant;
import java.util.Arrays;

/**
 * Instants as texts, as {@link Instant#toString} has them, without computing the date of the same
 * second again. For one thread.
 */
final class InstantText {
  private static final int LONGEST = 48;

  private final byte[] text = new byte[LONGEST];
  private long second = Long.MIN_VALUE;

  /** How much of {@link #text} is the second's. */
  private int prefix;

  private int length;

  /** The text of an instant: whole seconds, or with three, six or nine digits behind the point. */
  byte[] of(Instant instant) {
    if (instant.getEpochSecond() != second) {
      second = instant.getEpochSecond();
      byte[] whole = Instant.ofEpochSecond(second).toString().getBytes(US_ASCII);
      prefix = whole.length - 1; // but for the Z
      System.arraycopy(whole, 0, text, 0, prefix);
    }
    length = prefix;
    int nanos = instant.getNano();
    if (nanos != 0) {
      text[length++] = '.';
      digits(nanos / 1_000_000);
      if (nanos % 1_000_000 != 0) {
        digits(nanos / 1000 % 1000);
        if (nanos % 1000 != 0) {
          digits(nanos % 1000);
        }
      }
    }
    text[length++] = 'Z';
    return Arrays.copyOf(text, length);
  }

  private void digits(int number) {
    text[length++] = (byte) ('0' + number / 100);
    text[length++] = (byte) ('0' + number / 10 % 10);
    text[length++] = (byte) ('0' + number % 10);
  }
}

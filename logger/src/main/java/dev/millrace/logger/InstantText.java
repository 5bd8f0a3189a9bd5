package dev.millrace.logger;

import java.time.Instant;

/**
 * Instants as texts, as {@link Instant#toString} has them, without computing the date of the same
 * second again. For one thread.
 */
final class InstantText {
  private final StringBuilder text = new StringBuilder(32);
  private long second = Long.MIN_VALUE;

  /** How much of {@link #text} is the second's. */
  private int prefix;

  /** The text of an instant: whole seconds, or with three, six or nine digits behind the point. */
  String of(Instant instant) {
    if (instant.getEpochSecond() != second) {
      second = instant.getEpochSecond();
      text.setLength(0);
      text.append(Instant.ofEpochSecond(second));
      prefix = text.length() - 1; // but for the Z
    }
    text.setLength(prefix);
    int nanos = instant.getNano();
    if (nanos != 0) {
      text.append('.');
      digits(nanos / 1_000_000);
      if (nanos % 1_000_000 != 0) {
        digits(nanos / 1000 % 1000);
        if (nanos % 1000 != 0) {
          digits(nanos % 1000);
        }
      }
    }
    return text.append('Z').toString();
  }

  private void digits(int number) {
    text.append((char) ('0' + number / 100));
    text.append((char) ('0' + number / 10 % 10));
    text.append((char) ('0' + number % 10));
  }
}

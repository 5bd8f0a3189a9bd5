package dev.millrace.api;

import java.time.Duration;

/**
 * The point in time after which nobody wants the answer, on a {@link Ticker}'s scale.
 *
 * @param nanos reading of the ticker at that point; {@link Long#MAX_VALUE} for none
 */
public record Deadline(long nanos) {
  private static final Deadline NONE = new Deadline(Long.MAX_VALUE);

  /** The deadline of a request that may take as long as it likes. */
  public static Deadline none() {
    return NONE;
  }

  /** A deadline {@code timeout} from the ticker's now; none if that is beyond 100 years. */
  public static Deadline after(Duration timeout, Ticker ticker) {
    if (timeout.toDays() > 36_500) {
      return NONE;
    }
    return new Deadline(ticker.nanos() + timeout.toNanos());
  }

  /** Whether there is no deadline. */
  public boolean isNone() {
    return nanos == Long.MAX_VALUE;
  }

  /** Whether it has been reached at the ticker reading {@code now}. */
  public boolean isExpired(long now) {
    return !isNone() && now - nanos >= 0;
  }

  /** Nanoseconds left at {@code now}, negative when past; {@link Long#MAX_VALUE} for none. */
  public long remaining(long now) {
    return isNone() ? Long.MAX_VALUE : nanos - now;
  }
}

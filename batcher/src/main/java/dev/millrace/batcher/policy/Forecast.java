package dev.millrace.batcher.policy;

/**
 * How fast requests are served, as learned: enough to tell an arriving request how long it would
 * wait. Immutable, so that any thread may read the latest.
 *
 * @param nanosPerRow time for each row that waits ahead, all runners together, in batches as large
 *     as they get; 0 if not known
 * @param runNanos time in which a lone row runs; 0 if not known
 */
public record Forecast(double nanosPerRow, long runNanos) {
  private static final double CENTURY_NANOS = 3e18;
  private static final Forecast UNKNOWN = new Forecast(0, 0);

  /** Nothing was measured yet. */
  public static Forecast unknown() {
    return UNKNOWN;
  }

  /** Nanoseconds that a request waits behind that many rows; 0 if not known. */
  public long waitNanos(long rowsAhead) {
    return (long) Math.min(nanosPerRow * rowsAhead, CENTURY_NANOS);
  }
}

package dev.millrace.benchmarks.load;

import java.time.Duration;

/**
 * How long a load lasts.
 *
 * @param warmUp at the beginning, with requests that do not count
 * @param measured after that
 */
public record LoadWindow(Duration warmUp, Duration measured) {
  public LoadWindow {
    if (warmUp.isNegative() || measured.isNegative() || measured.isZero()) {
      throw new IllegalArgumentException(
          "nothing would be measured: %s, then %s".formatted(warmUp, measured));
    }
  }

  /** In seconds. */
  public static LoadWindow ofSeconds(double warmUp, double measured) {
    return new LoadWindow(seconds(warmUp), seconds(measured));
  }

  private static Duration seconds(double seconds) {
    return Duration.ofNanos((long) (seconds * 1e9));
  }

  long startNanos() {
    return warmUp.toNanos();
  }

  long endNanos() {
    return warmUp.plus(measured).toNanos();
  }
}

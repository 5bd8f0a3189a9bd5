package dev.millrace.api;

/** A source of monotonic time, injected so that tests move it by hand. */
@FunctionalInterface
public interface Ticker {
  /** Nanoseconds since some fixed, arbitrary point; may be negative, so compare by difference. */
  long nanos();

  /** {@link System#nanoTime()}. */
  static Ticker system() {
    return System::nanoTime;
  }
}

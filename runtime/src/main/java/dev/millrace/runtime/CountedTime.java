package dev.millrace.runtime;

/**
 * How often something happened, and how long it took in all.
 *
 * @param nanos nanoseconds
 */
public record CountedTime(long count, long nanos) {
  /** Never, and so in no time. */
  public static final CountedTime ZERO = new CountedTime(0, 0);
}

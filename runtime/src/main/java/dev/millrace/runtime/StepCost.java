package dev.millrace.runtime;

import io.micrometer.core.instrument.Timer;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * How long one half of a step has been seen to take, by the size of what it is given. Thread-safe
 * without locks; of two that record at the same time one may be lost.
 */
final class StepCost {
  /**
   * Time beyond which a computation is not to hold up an event loop or a model's instance: some
   * dozen times what it costs to hand it to another thread.
   */
  static final long LONG_NANOS = 200_000;

  private static final int WEIGHT = 8;

  private final Timer timer;

  /** Moving mean of nanoseconds by the binary logarithm of the bytes; 0 where nothing was seen. */
  private final AtomicLongArray means = new AtomicLongArray(Long.SIZE + 1);

  StepCost(Timer timer) {
    this.timer = timer;
  }

  /** Whether it takes long for so many bytes, or nobody knows yet. */
  boolean isLong(long bytes) {
    long mean = means.getOpaque(sizeOf(bytes));
    return mean == 0 || mean > LONG_NANOS;
  }

  void record(long bytes, long nanos) {
    timer.record(nanos, TimeUnit.NANOSECONDS);
    int size = sizeOf(bytes);
    long before = means.getOpaque(size);
    means.setOpaque(size, Math.max(1, before == 0 ? nanos : before + (nanos - before) / WEIGHT));
  }

  private static int sizeOf(long bytes) {
    return Long.SIZE - Long.numberOfLeadingZeros(bytes);
  }
}

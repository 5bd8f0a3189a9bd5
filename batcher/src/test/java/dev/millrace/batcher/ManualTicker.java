package dev.millrace.batcher;

import dev.millrace.api.Deadline;
import dev.millrace.api.Ticker;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/** Time that moves when a test says so. */
final class ManualTicker implements Ticker {
  // Close to the overflow, so that a comparison that is not by difference shows.
  private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 1_000_003);

  @Override
  public long nanos() {
    return nanos.get();
  }

  void advance(Duration duration) {
    nanos.addAndGet(duration.toNanos());
  }

  Deadline in(Duration duration) {
    return new Deadline(nanos() + duration.toNanos());
  }
}

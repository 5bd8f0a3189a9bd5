package dev.millrace.runtime;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;

/** Counts what becomes of the spans of traced requests. Thread-safe. */
public final class SpanMeters {
  private final Counter exported;
  private final Counter failed;
  private final Counter dropped;

  /** Counts in that registry. */
  public SpanMeters(MeterRegistry registry) {
    Meters meters = new Meters(registry);
    this.exported = meters.counter(Metric.SPANS, "exported");
    this.failed = meters.counter(Metric.SPANS, "failed");
    this.dropped = meters.counter(Metric.SPANS, "dropped");
  }

  /** The collector took so many. */
  public void exported(int count) {
    exported.increment(count);
  }

  /** So many could not be sent, or were refused. */
  public void failed(int count) {
    failed.increment(count);
  }

  /** One found the queue full. */
  public void dropped() {
    dropped.increment();
  }
}

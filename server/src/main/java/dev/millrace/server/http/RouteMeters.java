package dev.millrace.server.http;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReferenceArray;

/** Counts and times the answers of one route. Thread-safe; looks nothing up once warm. */
final class RouteMeters {
  private static final int FIRST_CODE = 100;

  private final MeterRegistry registry;
  private final String route;
  private final Timer duration;
  private final AtomicReferenceArray<Counter> requests = new AtomicReferenceArray<>(500);

  RouteMeters(MeterRegistry registry, String route) {
    this.registry = registry;
    this.route = route;
    this.duration =
        Timer.builder("millrace.http.request.duration")
            .description("Time from a request's head to its answer")
            .tag("route", route)
            .register(registry);
  }

  void answered(int status, long nanos) {
    Counter counter = requests.get(status - FIRST_CODE);
    if (counter == null) {
      counter = register(status);
    }
    counter.increment();
    duration.record(nanos, TimeUnit.NANOSECONDS);
  }

  private Counter register(int status) {
    Counter counter =
        Counter.builder("millrace.http.requests")
            .description("Answered HTTP requests")
            .tag("route", route)
            .tag("code", Integer.toString(status))
            .register(registry);
    requests.set(status - FIRST_CODE, counter);
    return counter;
  }
}

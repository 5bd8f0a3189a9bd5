package dev.millrace.runtime;

import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/** Registers the {@link Metric}s, and keeps the meters of each version in use. Thread-safe. */
final class Meters {
  /** Fixed buckets: percentiles computed in the process cost more and cannot be added up. */
  private static final Duration[] SECONDS =
      Stream.of(
              "50us", "100us", "250us", "500us", "1ms", "2500us", "5ms", "10ms", "25ms", "50ms",
              "100ms", "250ms", "500ms", "1s", "2500ms", "5s", "10s", "30s")
          .map(text -> Settings.parseDuration(text).orElseThrow())
          .toArray(Duration[]::new);

  private static final double[] ROWS = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

  private record Use(ModelMeters meters, int count) {}

  private final MeterRegistry registry;
  private final Map<ModelId, Use> uses = new HashMap<>();

  /** One for each version that was ever loaded: they never start again. */
  private final Map<ModelId, StatisticsLedger> statistics = new HashMap<>();

  Meters(MeterRegistry registry) {
    this.registry = registry;
  }

  MeterRegistry registry() {
    return registry;
  }

  /** The meters of a version; every call is matched by one of {@link #release}. */
  synchronized ModelMeters acquire(ModelId id) {
    Use use = uses.get(id);
    ModelMeters meters = use == null ? newMeters(id) : use.meters();
    uses.put(id, new Use(meters, use == null ? 1 : use.count() + 1));
    return meters;
  }

  private ModelMeters newMeters(ModelId id) {
    return new ModelMeters(
        id, this, statistics.computeIfAbsent(id, version -> new StatisticsLedger()));
  }

  /** Takes the meters out of the registry when nobody uses them any more. */
  synchronized void release(ModelId id) {
    Use use = uses.get(id);
    if (use == null) {
      throw new IllegalStateException("the meters of " + id + " are not in use");
    }
    if (use.count() > 1) {
      uses.put(id, new Use(use.meters(), use.count() - 1));
    } else {
      uses.remove(id);
      use.meters().registered().forEach(registry::remove);
    }
  }

  Counter counter(Metric metric, String... tagValues) {
    return Counter.builder(metric.meterName())
        .description(metric.help())
        .tags(tags(metric, tagValues))
        .register(registry);
  }

  Timer timer(Metric metric, String... tagValues) {
    return Timer.builder(metric.meterName())
        .description(metric.help())
        .tags(tags(metric, tagValues))
        .serviceLevelObjectives(SECONDS)
        .register(registry);
  }

  DistributionSummary summary(Metric metric, String... tagValues) {
    return summary(metric, ROWS, tagValues);
  }

  /** A histogram with those bounds. */
  DistributionSummary summary(Metric metric, double[] bounds, String... tagValues) {
    return DistributionSummary.builder(metric.meterName())
        .description(metric.help())
        .baseUnit(metric.unit().isEmpty() ? null : metric.unit())
        .tags(tags(metric, tagValues))
        .serviceLevelObjectives(bounds)
        .register(registry);
  }

  /** A gauge that somebody else keeps {@code object} alive for. */
  <T> Gauge gauge(Metric metric, T object, ToDoubleFunction<T> value, String... tagValues) {
    return Gauge.builder(metric.meterName(), object, value)
        .description(metric.help())
        .baseUnit(metric.unit().isEmpty() ? null : metric.unit())
        .tags(tags(metric, tagValues))
        .register(registry);
  }

  private static Tags tags(Metric metric, String... values) {
    Tags tags = Tags.empty();
    for (int i = 0; i < values.length; i++) {
      tags = tags.and(metric.tags().get(i), values[i]);
    }
    return tags;
  }
}

package dev.millrace.runtime;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.LogListener;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Timer;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** Measures an inference logger. Thread-safe. */
final class LoggerMeters implements LogListener {
  private final Meters meters;
  private final Map<String, OfModel> models = new ConcurrentHashMap<>();

  LoggerMeters(Meters meters) {
    this.meters = meters;
  }

  /** Registers the gauges of {@code logger}, which somebody else keeps alive. */
  void show(InferenceLogger logger) {
    meters.gauge(Metric.LOGGER_BUFFERED, logger, it -> it.holdings().bufferedBytes());
    meters.gauge(Metric.LOGGER_SPOOLED, logger, it -> it.holdings().spooledBytes());
    meters.gauge(Metric.LOGGER_LAG, logger, it -> it.holdings().lag().toNanos() / 1e9);
  }

  private OfModel of(String model) {
    OfModel known = models.get(model);
    return known == null ? models.computeIfAbsent(model, name -> new OfModel(name, meters)) : known;
  }

  @Override
  public void opened(String model) {
    of(model);
  }

  @Override
  public void accepted(String model) {
    of(model).accepted.increment();
  }

  @Override
  public void sent(String model, int count) {
    of(model).sent.increment(count);
  }

  @Override
  public void acknowledged(String model, int count, long nanos) {
    OfModel these = of(model);
    these.acknowledged.increment(count);
    these.sendDuration.record(nanos, TimeUnit.NANOSECONDS);
  }

  @Override
  public void dropped(String model, DropReason reason) {
    requireNonNull(of(model).dropped.get(reason)).increment();
  }

  /** The meters of one model. */
  private static final class OfModel {
    private final Counter accepted;
    private final Counter sent;
    private final Counter acknowledged;
    private final Timer sendDuration;
    private final Map<DropReason, Counter> dropped = new EnumMap<>(DropReason.class);

    OfModel(String name, Meters meters) {
      accepted = meters.counter(Metric.LOGGER_ACCEPTED, name);
      sent = meters.counter(Metric.LOGGER_SENT, name);
      acknowledged = meters.counter(Metric.LOGGER_ACKNOWLEDGED, name);
      sendDuration = meters.timer(Metric.LOGGER_SEND_DURATION, name);
      for (DropReason reason : DropReason.values()) {
        String label = reason.name().toLowerCase(Locale.ROOT);
        dropped.put(reason, meters.counter(Metric.LOGGER_DROPPED, name, label));
      }
    }
  }
}

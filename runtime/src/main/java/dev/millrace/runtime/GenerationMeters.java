package dev.millrace.runtime;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.ToDoubleFunction;

/**
 * Measures the requests for one language model, under the names of OpenTelemetry's conventions for
 * generative AI. Thread-safe.
 */
public final class GenerationMeters implements AutoCloseable {
  private static final double[] TOKENS = {
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576
  };

  private final Meters meters;
  private final String model;
  private final Counter retries;
  private final List<Meter> gauges = new CopyOnWriteArrayList<>();
  private final Map<Key, Series> series = new ConcurrentHashMap<>();

  private record Key(String operation, String upstream) {}

  /** Measures the requests for the model of that name. */
  public GenerationMeters(MeterRegistry registry, String model) {
    this.meters = new Meters(registry);
    this.model = model;
    this.retries = meters.counter(Metric.UPSTREAM_RETRIES, model);
  }

  /**
   * Shows an upstream that somebody else keeps alive.
   *
   * @param name its address
   */
  public <T> void showUpstream(
      String name, T upstream, ToDoubleFunction<T> requests, ToDoubleFunction<T> fit) {
    gauges.add(meters.gauge(Metric.UPSTREAM_REQUESTS, upstream, requests, model, name));
    gauges.add(meters.gauge(Metric.UPSTREAM_FIT, upstream, fit, model, name));
  }

  /** Shows a queue that somebody else keeps alive. */
  public <T> void showQueue(T queue, ToDoubleFunction<T> size) {
    gauges.add(meters.gauge(Metric.UPSTREAM_QUEUE, queue, size, model));
  }

  /** A request was sent to another upstream. */
  public void retried() {
    retries.increment();
  }

  /** The meters for one kind of request at one upstream. */
  public Series of(String operation, String upstream) {
    Key key = new Key(operation, upstream);
    Series known = series.get(key);
    return known == null ? series.computeIfAbsent(key, Series::new) : known;
  }

  /** Takes the gauges out of the registry. */
  @Override
  public void close() {
    gauges.forEach(meters.registry()::remove);
    gauges.clear();
  }

  /** One kind of request at one upstream. */
  public final class Series {
    private final Key key;
    private final Timer ok;
    private final Timer firstToken;
    private final Timer outputToken;
    private final DistributionSummary input;
    private final DistributionSummary output;

    private Series(Key key) {
      this.key = key;
      ok = duration("");
      firstToken =
          meters.timer(Metric.GENERATION_FIRST_TOKEN, key.operation(), model, key.upstream());
      outputToken =
          meters.timer(Metric.GENERATION_OUTPUT_TOKEN, key.operation(), model, key.upstream());
      input = tokens("input");
      output = tokens("output");
    }

    private Timer duration(String error) {
      return meters.timer(
          Metric.GENERATION_DURATION, key.operation(), model, key.upstream(), error);
    }

    private DistributionSummary tokens(String type) {
      return meters.summary(
          Metric.GENERATION_TOKENS, TOKENS, key.operation(), model, key.upstream(), type);
    }

    /**
     * A request has ended.
     *
     * @param error what kind of error it ended with; empty for none
     */
    public void answered(String error, long nanos) {
      (error.isEmpty() ? ok : duration(error)).record(nanos, TimeUnit.NANOSECONDS);
    }

    /** The first event of a stream has come. */
    public void firstToken(long nanos) {
      firstToken.record(nanos, TimeUnit.NANOSECONDS);
    }

    /** A stream has ended that brought so many tokens, the last so long after the first. */
    public void streamed(long nanos, long tokens) {
      if (tokens > 1) {
        outputToken.record(nanos / (tokens - 1), TimeUnit.NANOSECONDS);
      }
    }

    /** The tokens of a request and its answer; negative if unknown. */
    public void tokens(long inputTokens, long outputTokens) {
      if (inputTokens >= 0) {
        input.record((double) inputTokens);
      }
      if (outputTokens >= 0) {
        output.record((double) outputTokens);
      }
    }
  }
}

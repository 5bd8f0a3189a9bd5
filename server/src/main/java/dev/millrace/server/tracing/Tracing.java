package dev.millrace.server.tracing;

import dev.millrace.runtime.SpanMeters;
import io.micrometer.core.instrument.MeterRegistry;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.spi.ConfigurationException;
import io.opentelemetry.sdk.resources.Resource;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Exports the spans of requests to an OpenTelemetry collector, by OTLP over HTTP. A request never
 * waits for the collector: spans wait in a bounded queue, and what finds it full is dropped and
 * counted. Thread-safe.
 */
public final class Tracing {
  private static final Logger log = LoggerFactory.getLogger(Tracing.class);

  /**
   * The library's own log of what {@link CountedSpans} tells of; held, or it would be forgotten.
   */
  private static final java.util.logging.Logger EXPORTER_LOG =
      java.util.logging.Logger.getLogger("io.opentelemetry.exporter");

  private static final AttributeKey<String> SERVICE_NAME = AttributeKey.stringKey("service.name");
  private static final AttributeKey<String> SERVICE_VERSION =
      AttributeKey.stringKey("service.version");

  private final OpenTelemetrySdk sdk;
  private final String version;
  private final CountedSpans spans;

  private Tracing(OpenTelemetrySdk sdk, String version, CountedSpans spans) {
    this.sdk = sdk;
    this.version = version;
    this.spans = spans;
  }

  /**
   * Starts to trace, if it is configured. Variables that OpenTelemetry does not understand are
   * warned of, and then nothing is traced: others than the server's user set them too.
   *
   * @param service what the server is called, unless a variable says so
   * @param version the server's
   */
  public static Optional<Tracing> start(
      TracingConfig config, String service, String version, MeterRegistry registry) {
    CountedSpans spans = new CountedSpans(new SpanMeters(registry));
    if (!config.isOn()) {
      return Optional.empty();
    }
    EXPORTER_LOG.setLevel(Level.OFF);
    try {
      OpenTelemetrySdk sdk =
          AutoConfiguredOpenTelemetrySdk.builder()
              .addPropertiesCustomizer(ignored -> properties(config))
              .addResourceCustomizer((resource, ignored) -> named(resource, service, version))
              .addSpanProcessorCustomizer((queue, properties) ->
                  spans.before(queue, properties.getInt("otel.bsp.max.queue.size", 2048)))
              .addSpanExporterCustomizer((exporter, ignored) -> spans.behind(exporter))
              .setServiceClassLoader(Tracing.class.getClassLoader())
              .disableShutdownHook()
              .build()
              .getOpenTelemetrySdk();
      return Optional.of(new Tracing(sdk, version, spans));
    } catch (ConfigurationException e) {
      Throwable cause = e.getCause();
      log.warn(
          "Requests are not traced: {}{}",
          e.getMessage(),
          cause == null ? "" : ": " + cause.getMessage());
      return Optional.empty();
    }
  }

  private static Map<String, String> properties(TracingConfig config) {
    Map<String, String> properties = new HashMap<>();
    // The default of OTLP's specification; the library's is another.
    properties.put("otel.exporter.otlp.protocol", "http/protobuf");
    properties.putAll(config.properties());
    // These have ways of their own here.
    properties.put("otel.metrics.exporter", "none");
    properties.put("otel.logs.exporter", "none");
    properties.put("otel.propagators", "none");
    return properties;
  }

  private static Resource named(Resource resource, String service, String version) {
    String given = resource.getAttribute(SERVICE_NAME);
    Resource named =
        given == null || given.startsWith("unknown_service")
            ? resource.toBuilder().put(SERVICE_NAME, service).build()
            : resource;
    return named.getAttribute(SERVICE_VERSION) == null
        ? named.toBuilder().put(SERVICE_VERSION, version).build()
        : named;
  }

  /** Makes the spans. */
  public Tracer tracer() {
    return sdk.getTracer("dev.millrace", version);
  }

  /** Stops, and sends what waits within {@code grace}; what then still waits is lost. Blocks. */
  public void close(Duration grace) {
    if (!sdk.shutdown().join(grace.toNanos(), TimeUnit.NANOSECONDS).isDone()) {
      log.warn("The collector did not take the last spans in time; {} wait", spans.waiting());
    }
  }
}

package dev.millrace.server.tracing;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.millrace.server.http.Await;
import io.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
import io.opentelemetry.proto.common.v1.AnyValue;
import io.opentelemetry.proto.common.v1.KeyValue;
import io.opentelemetry.proto.trace.v1.Span;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;

/** A collector that spans can be sent to, by OTLP over HTTP, on a real socket. Thread-safe. */
public final class OtlpCollector implements AutoCloseable {
  private static final HexFormat HEX = HexFormat.of();

  private final HttpServer http;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final List<Span> spans = new CopyOnWriteArrayList<>();
  private final List<Map<String, String>> resources = new CopyOnWriteArrayList<>();
  private final AtomicInteger requests = new AtomicInteger();
  private volatile CountDownLatch open = new CountDownLatch(0);

  /** One that listens on a free port. */
  public OtlpCollector() throws IOException {
    http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    http.createContext("/v1/traces", this::take);
    http.setExecutor(threads);
    http.start();
  }

  private void take(HttpExchange exchange) throws IOException {
    try (exchange) {
      requests.incrementAndGet();
      ExportTraceServiceRequest request =
          ExportTraceServiceRequest.parseFrom(exchange.getRequestBody());
      open.await();
      request
          .getResourceSpansList()
          .forEach(resource -> {
            resources.add(attributes(resource.getResource().getAttributesList()));
            resource.getScopeSpansList().forEach(scope -> spans.addAll(scope.getSpansList()));
          });
      exchange.getResponseHeaders().add("Content-Type", "application/x-protobuf");
      exchange.sendResponseHeaders(200, -1);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** OpenTelemetry's variables for spans to come here soon, and these beside them. */
  public TracingConfig config(Map<String, String> others) {
    Map<String, String> variables =
        new HashMap<>(
            Map.of("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint(), "OTEL_BSP_SCHEDULE_DELAY", "10"));
    variables.putAll(others);
    return TracingConfig.of(variables);
  }

  /** Where it is. */
  public String endpoint() {
    return "http://localhost:" + http.getAddress().getPort();
  }

  /** From now on lets everybody wait, until {@link #release}. */
  public void hold() {
    open = new CountDownLatch(1);
  }

  public void release() {
    open.countDown();
  }

  /** Requests that have come, answered or not. */
  public int requests() {
    return requests.get();
  }

  /** What the spans' senders say of themselves. */
  public List<Map<String, String>> resources() {
    return resources;
  }

  /** The spans that have come, at least so many. */
  public List<Span> await(int count) {
    Await.until(count + " spans come", () -> spans.size() >= count);
    return List.copyOf(spans);
  }

  /** The one of that name. */
  public Span await(String name) {
    Await.until(
        "the span '" + name + "' comes",
        () -> spans.stream().anyMatch(span -> span.getName().equals(name)));
    List<Span> found = spans.stream().filter(span -> span.getName().equals(name)).toList();
    if (found.size() > 1) {
      throw new AssertionError("there are " + found.size() + " spans '" + name + "'");
    }
    return found.getFirst();
  }

  /** A span's attributes, numbers as texts. */
  public static Map<String, String> attributes(Span span) {
    return attributes(span.getAttributesList());
  }

  private static Map<String, String> attributes(List<KeyValue> list) {
    return list.stream().collect(Collectors.toMap(KeyValue::getKey, each -> text(each.getValue())));
  }

  private static String text(AnyValue value) {
    return switch (value.getValueCase()) {
      case STRING_VALUE -> value.getStringValue();
      case INT_VALUE -> Long.toString(value.getIntValue());
      case DOUBLE_VALUE -> Double.toString(value.getDoubleValue());
      default -> value.toString();
    };
  }

  /**
   * The header {@code traceparent} that names a span as the parent, and says that it is sampled.
   */
  public static String traceparent(Span span) {
    return "00-" + traceId(span) + "-" + spanId(span) + "-01";
  }

  public static String traceId(Span span) {
    return HEX.formatHex(span.getTraceId().toByteArray());
  }

  public static String spanId(Span span) {
    return HEX.formatHex(span.getSpanId().toByteArray());
  }

  /** The id of a span's parent; empty if it has none. */
  public static String parentId(Span span) {
    return HEX.formatHex(span.getParentSpanId().toByteArray());
  }

  @Override
  public void close() {
    release();
    http.stop(0);
    threads.shutdownNow();
  }
}

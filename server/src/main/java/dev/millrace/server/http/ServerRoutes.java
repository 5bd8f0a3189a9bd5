package dev.millrace.server.http;

import dev.millrace.server.json.JsonWriter;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufOutputStream;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.util.AsciiString;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;

/** What every server answers, whatever its protocols: that it is alive, and its measurements. */
public final class ServerRoutes implements Routes {
  /** The classic text format, which every Prometheus reads. */
  private static final AsciiString CLASSIC =
      AsciiString.cached("text/plain; version=0.0.4; charset=utf-8");

  private static final String OPEN_METRICS_TYPE = "application/openmetrics-text";
  private static final AsciiString OPEN_METRICS =
      AsciiString.cached(OPEN_METRICS_TYPE + "; version=1.0.0; charset=utf-8");

  private final PrometheusMeterRegistry meters;

  /** Routes that show {@code meters}. */
  public ServerRoutes(PrometheusMeterRegistry meters) {
    this.meters = meters;
  }

  @Override
  public void addTo(Router router) {
    router.add(HttpMethod.GET, "/", ServerRoutes::alive);
    router.add(
        HttpMethod.GET,
        "/metrics",
        // Collecting takes a while when there are many models.
        exchange -> exchange.onWorker(() -> metrics(exchange), () -> {}));
  }

  private static void alive(HttpExchange exchange) {
    ByteBuf body = exchange.newBody(32);
    JsonWriter.to(body).beginObject().name("status").string("alive").endObject().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private void metrics(HttpExchange exchange) {
    String accept = exchange.headers().get(HttpHeaderNames.ACCEPT);
    AsciiString type =
        accept != null && accept.contains(OPEN_METRICS_TYPE) ? OPEN_METRICS : CLASSIC;
    ByteBuf body = exchange.newBody(16 << 10);
    try (OutputStream out = new ByteBufOutputStream(body)) {
      meters.scrape(out, type.toString());
    } catch (IOException e) {
      body.release();
      throw new UncheckedIOException(e);
    }
    exchange.compressible().respond(200, type, body);
  }
}

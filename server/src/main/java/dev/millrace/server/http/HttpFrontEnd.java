package dev.millrace.server.http;

import io.micrometer.core.instrument.MeterRegistry;
import io.netty.channel.ChannelPipeline;
import io.opentelemetry.api.trace.Tracer;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;

/**
 * Serves HTTP/1.1 on the connections that it is given. Thread-safe; does not own the listening
 * socket, the event loops or the workers.
 */
public final class HttpFrontEnd {
  private final HttpConfig config;
  private final Router router;
  private final RouteMeters unrouted;
  private final HttpSpans spans;
  private final Executor workers;
  private final BooleanSupplier pressed;
  private final Set<HttpConnection> connections = ConcurrentHashMap.newKeySet();
  private final CompletableFuture<Void> terminated = new CompletableFuture<>();
  private volatile boolean draining;
  private volatile boolean stopping;

  /**
   * A front end of these protocols.
   *
   * @param tracer makes the spans of requests, if there are to be any
   * @param workers runs what is too much for an event loop; may block on nothing else
   * @param pressed whether there is so much in memory that no more is to be read for now; asked
   *     often, by any thread
   */
  public HttpFrontEnd(
      HttpConfig config,
      List<Routes> protocols,
      MeterRegistry meters,
      Optional<Tracer> tracer,
      Executor workers,
      BooleanSupplier pressed) {
    this.config = config;
    this.workers = workers;
    this.pressed = pressed;
    this.spans = new HttpSpans(tracer);
    HttpMeters httpMeters = new HttpMeters(meters);
    this.unrouted = httpMeters.of("none");
    this.router = new Router(httpMeters);
    protocols.forEach(protocol -> protocol.addTo(router));
  }

  /**
   * Makes {@code pipeline} speak HTTP/1.1 from its next byte on; adds its handlers at the end. The
   * channel may be active already.
   */
  public void install(ChannelPipeline pipeline) {
    RequestDecoder decoder = new RequestDecoder(config);
    pipeline.addLast(decoder, new HttpConnection(this, decoder));
  }

  /** From now on the answer to a request is the last one on its connection. */
  public void startDraining() {
    draining = true;
  }

  /**
   * Closes the idle connections, and the others once they are answered.
   *
   * @return completes when all are closed; there is no limit to how long that takes
   */
  public CompletableFuture<Void> shutdown() {
    draining = true;
    stopping = true;
    connections.forEach(HttpConnection::shutdown);
    completeIfDone();
    return terminated;
  }

  /** How many connections are open. */
  public int connections() {
    return connections.size();
  }

  HttpConfig config() {
    return config;
  }

  Router router() {
    return router;
  }

  /** Measures what no route answers. */
  RouteMeters unrouted() {
    return unrouted;
  }

  HttpSpans spans() {
    return spans;
  }

  Executor workers() {
    return workers;
  }

  boolean isDraining() {
    return draining;
  }

  /** Whether connections are to leave what clients send where it is. */
  boolean isPressed() {
    return pressed.getAsBoolean();
  }

  void opened(HttpConnection connection) {
    connections.add(connection);
    if (stopping) {
      connection.shutdown();
    }
  }

  void closed(HttpConnection connection) {
    connections.remove(connection);
    completeIfDone();
  }

  private void completeIfDone() {
    if (stopping && connections.isEmpty()) {
      terminated.complete(null);
    }
  }
}

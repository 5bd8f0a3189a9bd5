package dev.millrace.server.http;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.InferenceException;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpMethod;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;

/** Routes to test connections with. */
final class TestRoutes implements Routes {
  private final Map<String, CompletableFuture<String>> later = new ConcurrentHashMap<>();

  /** Threads that {@code /echo} ran on. */
  volatile String thread = "";

  /** What {@code POST /later/{name}} waits for, once it is there. */
  CompletableFuture<String> awaitLater(String name) {
    Await.until("the request '" + name + "' is there", () -> later.containsKey(name));
    return requireNonNull(later.get(name));
  }

  /** Whether {@code POST /later/{name}} is there. */
  boolean has(String name) {
    return later.containsKey(name);
  }

  @Override
  public void addTo(Router router) {
    router.add(
        HttpMethod.POST,
        "/echo",
        exchange -> {
          thread = Thread.currentThread().getName();
          ByteBuf body = exchange.newBody(exchange.body().readableBytes());
          exchange.respond(200, HttpExchange.OCTET_STREAM, body.writeBytes(exchange.body()));
        });
    router.add(HttpMethod.GET, "/text", exchange -> text(exchange, "text"));
    router.add(HttpMethod.GET, "/nothing", exchange -> exchange.respond(200));
    router.add(
        HttpMethod.GET,
        "/big/{size}",
        exchange -> {
          int size = Integer.parseInt(exchange.variable("size"));
          ByteBuf body = exchange.newBody(size);
          exchange.compressible().respond(200, HttpExchange.OCTET_STREAM, body.writeZero(size));
        });
    router.add(
        HttpMethod.GET,
        "/busy",
        exchange -> {
          throw InferenceException.exhausted("too busy", Duration.ofMillis(1200));
        });
    router.add(
        HttpMethod.GET,
        "/bug",
        exchange -> {
          throw new IllegalStateException("a bug");
        });
    router.add(
        HttpMethod.POST,
        "/later/{name}",
        exchange -> {
          CompletableFuture<String> future = new CompletableFuture<>();
          exchange.await(
              future,
              new Answer<>() {
                @Override
                protected void write(HttpExchange waiting, String result) {
                  text(waiting, result);
                }
              });
          later.put(exchange.variable("name"), future);
        });
  }

  private static void text(HttpExchange exchange, String text) {
    ByteBuf body = exchange.newBody(text.length());
    body.writeCharSequence(text, java.nio.charset.StandardCharsets.UTF_8);
    exchange.respond(200, HttpExchange.OCTET_STREAM, body);
  }
}

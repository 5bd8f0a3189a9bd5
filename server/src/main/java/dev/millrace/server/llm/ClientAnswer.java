package dev.millrace.server.llm;

import static java.util.Objects.requireNonNull;

import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.ResponseStream;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.util.AsciiString;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the client of a relayed request gets: an answer at once, or one that begins and then goes on
 * to its end, or breaks off in a way that the client notices. Everything happens on the event loop.
 */
final class ClientAnswer {
  private static final AsciiString EVENTS = AsciiString.cached("text/event-stream; charset=utf-8");
  private static final byte[] HEARTBEAT = {':', '\n', '\n'};

  private final LlmRequest request;
  private final HttpExchange exchange;
  private final Runnable whenWritable;
  private @Nullable ResponseStream stream;

  /** Whether it is a stream of events. */
  private boolean isEvents;

  private boolean isRetried;

  /**
   * An answer that has not begun.
   *
   * @param whenWritable called when the client takes more after it did not
   */
  ClientAnswer(LlmRequest request, Runnable whenWritable) {
    this.request = request;
    this.exchange = request.exchange();
    this.whenWritable = whenWritable;
  }

  /**
   * Another upstream is tried, which the client is told: its own tries would multiply with those.
   */
  void retried() {
    isRetried = true;
  }

  /** Whether it has begun, so that no other one can be given. */
  boolean hasBegun() {
    return stream != null;
  }

  /** Where its pieces are written; begins it, as the upstream's answer, if it has not begun. */
  ResponseStream begin(int status, HttpHeaders headers, boolean withEvents) {
    if (stream == null) {
      if (withEvents) {
        eventHeaders();
      }
      pass(headers);
      stream = exchange.stream(status, type(headers), whenWritable);
    }
    return stream;
  }

  private void eventHeaders() {
    isEvents = true;
    exchange.header("Cache-Control", "no-cache").header("X-Accel-Buffering", "no");
  }

  private void pass(HttpHeaders headers) {
    RequestHead.forEachBack(
        headers,
        (name, value) -> {
          boolean isOwn = isEvents && name.equalsIgnoreCase("cache-control");
          if (!isOwn) {
            exchange.header(name, value);
          }
        });
    ownHeaders();
  }

  private void ownHeaders() {
    exchange.header("X-Request-Id", request.id());
    if (isRetried) {
      exchange.header("X-Should-Retry", "false");
    }
  }

  private static @Nullable AsciiString type(HttpHeaders headers) {
    String type = headers.get(HttpHeaderNames.CONTENT_TYPE);
    return type == null ? null : AsciiString.of(type);
  }

  /** Shows the client that the stream is alive; from then on it has begun. */
  void beat() {
    ResponseStream to = stream;
    if (to == null) {
      eventHeaders();
      ownHeaders();
      to = exchange.stream(200, EVENTS, whenWritable);
      stream = to;
    }
    to.write(exchange.newBody(HEARTBEAT.length).writeBytes(HEARTBEAT));
    to.flush();
  }

  /**
   * Sends what was written.
   *
   * @return whether the client takes more
   */
  boolean flush() {
    if (stream == null) {
      return true;
    }
    stream.flush();
    return stream.isWritable();
  }

  /** It is complete. */
  void finish() {
    requireNonNull(stream).finish();
  }

  /** The upstream's answer as a whole; takes the body over. */
  void respond(int status, HttpHeaders headers, ByteBuf body) {
    pass(headers);
    exchange.compressible().respond(status, type(headers), body, List.of(), null);
  }

  /** The upstream's error; its body stays the caller's. */
  void relayError(int status, HttpHeaders headers, ByteBuf body) {
    pass(headers);
    OpenAiErrors.relay(exchange, status, body, request.isKserve());
  }

  /** An error, or the end of an answer that has begun. */
  void fail(int status, String message) {
    ResponseStream begun = stream;
    if (begun == null) {
      ownHeaders();
      OpenAiErrors.fail(exchange, status, message, Integer.toString(status));
    } else if (isEvents) {
      begun.write(OpenAiErrors.event(exchange, request.operation(), status, message));
      begun.finish();
    } else {
      begun.breakOff();
    }
  }

  /** An error of this server's, before it has begun. */
  void fail(RuntimeException error) {
    ownHeaders();
    OpenAiErrors.fail(exchange, error);
  }
}

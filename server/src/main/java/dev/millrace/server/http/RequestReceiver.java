package dev.millrace.server.http;

import dev.millrace.api.InferenceException;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.DecoderResult;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.netty.util.AsciiString;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Makes exchanges of what a connection reads: checks the head, collects the body, and passes the
 * request on when it is there in full.
 */
final class RequestReceiver {
  /** Says how long the JSON is that binary tensors follow. */
  private static final AsciiString HEADER_LENGTH =
      AsciiString.cached("inference-header-content-length");

  /** Most bytes of a body that nobody wants which are skipped to keep the connection. */
  private static final long MAX_SKIPPED = 16L << 20;

  private final HttpConnection connection;
  private final Router router;

  /** The exchange whose request is coming in; null between requests. */
  private @Nullable HttpExchange current;

  private @Nullable RequestBody body;

  /** Length of the body as announced, -1 if it is not. */
  private long announced;

  private long received;

  /** When the request that is coming in began, its head included; 0 between requests. */
  private long startNanos;

  /** Whether the rest of the connection is ignored, as the last answer is on its way. */
  private boolean finished;

  RequestReceiver(HttpConnection connection, Router router) {
    this.connection = connection;
    this.router = router;
  }

  /** Whether no request is coming in. */
  boolean isIdle() {
    return current == null && startNanos == 0;
  }

  /**
   * Whether the request that is coming in takes more than {@code allowedNanos}, plus a second per
   * so many bytes of its body. The time in which the client was not let to send does not count.
   */
  boolean isOverdue(long now, long allowedNanos, long bytesPerSecond) {
    if (isIdle() || connection.responses().isClosed()) {
      return false;
    }
    boolean held = current != null && current.wantsContinue;
    if (held || !connection.context().channel().config().isAutoRead()) {
      startNanos = now;
      return false;
    }
    long more = TimeUnit.SECONDS.toNanos(received / bytesPerSecond);
    return now - startNanos > allowedNanos + more;
  }

  /** Whether the exchange's request is there in full. */
  boolean isComplete(HttpExchange exchange) {
    return exchange != current;
  }

  /** A request's head. */
  void begin(HttpRequest request) {
    if (finished || connection.responses().isClosed()) {
      return;
    }
    received = 0;
    if (startNanos == 0) {
      startNanos = System.nanoTime();
    }
    DecoderResult result = request.decoderResult();
    if (result.isFailure()) {
      refuse(result.cause());
      return;
    }
    Router.Node place = router.find(request.uri());
    Route route = place == null ? null : place.route(request.method());
    HttpExchange exchange = new HttpExchange(connection, request, route);
    connection.responses().add(exchange);
    current = exchange;
    announced = HttpUtil.getContentLength(request, -1L);
    boolean keepAlive = HttpUtil.isKeepAlive(request);
    if (!keepAlive) {
      exchange.isLast = true;
      finished = true;
    }
    String expectation = request.headers().get(HttpHeaderNames.EXPECT);
    String coding = request.headers().get(HttpHeaderNames.TRANSFER_ENCODING);
    if (announced > connection.config().maxBodySize()) {
      reject(exchange, 413, tooLarge());
    } else if (place == null) {
      reject(exchange, 404, "Not Found");
    } else if (route == null) {
      exchange.header("Allow", place.allowed());
      reject(exchange, 405, "Method Not Allowed");
    } else if (request.protocolVersion().majorVersion() != 1) {
      close(exchange);
      reject(
          exchange, 505, "HTTP version %s is not supported".formatted(request.protocolVersion()));
    } else if (coding != null && !HttpHeaderValues.CHUNKED.contentEqualsIgnoreCase(coding.trim())) {
      close(exchange); // where its body ends depends on it
      reject(exchange, 501, "transfer coding '%s' is not supported".formatted(coding));
    } else if (expectation != null
        && !HttpHeaderValues.CONTINUE.contentEqualsIgnoreCase(expectation)) {
      reject(exchange, 417, "unknown expectation '%s'".formatted(expectation));
    } else {
      body = new RequestBody(connection.allocator(), headerLength(request.headers()));
      if (expectation != null && request.protocolVersion().equals(HttpVersion.HTTP_1_1)) {
        exchange.wantsContinue = true;
        connection.responses().sendContinue(exchange);
      }
    }
  }

  private String tooLarge() {
    return "the request body is over the limit of %d bytes"
        .formatted(connection.config().maxBodySize());
  }

  private static int headerLength(HttpHeaders headers) {
    String length = headers.get(HEADER_LENGTH);
    if (length == null) {
      return 0;
    }
    try {
      return Integer.parseInt(length);
    } catch (NumberFormatException e) {
      // Whoever reads the body complains.
      return 0;
    }
  }

  /**
   * Answers before the body is there. The connection stays if the body is small enough to be
   * skipped; not if the client waits for word to send it, as nobody knows then whether it will.
   */
  private void reject(HttpExchange exchange, int code, String message) {
    HttpHeaders headers = exchange.headers();
    if (headers.contains(HttpHeaderNames.EXPECT)
        || announced > connection.config().maxBodySize() + MAX_SKIPPED) {
      close(exchange);
    }
    exchange.fail(code, message);
    connection.updateReads();
  }

  /** Makes the answer the last one, though the client may still be sending. */
  private void close(HttpExchange exchange) {
    exchange.isLast = true;
    exchange.isLingering = true;
    finished = true;
  }

  /** What came is not HTTP: nothing after it can be made sense of. */
  private void refuse(Throwable cause) {
    HttpExchange exchange = new HttpExchange(connection, null, null);
    connection.responses().add(exchange);
    current = exchange;
    close(exchange);
    if (cause instanceof TooLongHttpLineException) {
      exchange.fail(
          414,
          "the request line is over the limit of %d bytes"
              .formatted(connection.config().maxHeaderSize()));
    } else if (cause instanceof TooLongHttpHeaderException) {
      exchange.fail(
          431,
          "the headers are over the limit of %d bytes"
              .formatted(connection.config().maxHeaderSize()));
    } else {
      exchange.fail(400, "malformed HTTP: " + cause.getMessage());
    }
  }

  /** A piece of a body. */
  void content(HttpContent content) {
    HttpExchange exchange = current;
    RequestBody collected = body;
    if (exchange == null || collected == null) {
      skip(content);
      return;
    }
    ByteBuf piece = content.content();
    received += piece.readableBytes();
    if (content.decoderResult().isFailure()) {
      content.release();
      collected.release();
      body = null;
      close(exchange);
      exchange.fail(400, "malformed HTTP: " + content.decoderResult().cause().getMessage());
      return;
    }
    if (received > connection.config().maxBodySize()) {
      collected.release();
      body = null;
      exchange.fail(413, tooLarge());
      skip(content);
      return;
    }
    exchange.wantsContinue = false;
    try {
      collected.add(piece, (int) announced);
    } catch (InferenceException noMemory) {
      collected.release();
      body = null;
      exchange.fail(noMemory);
      if (content instanceof LastHttpContent) {
        complete();
      }
      return;
    }
    if (content instanceof LastHttpContent) {
      body = null;
      complete();
      connection.responses().received(exchange, collected.size());
      exchange.dispatch(collected.take());
    }
  }

  /** A piece of a body that nobody wants. */
  private void skip(HttpContent content) {
    received += body == null ? content.content().readableBytes() : 0;
    content.release();
    if (content instanceof LastHttpContent) {
      complete();
    } else if (received > connection.config().maxBodySize() + MAX_SKIPPED && !finished) {
      finished = true;
      var _ = connection.context().close();
    }
  }

  private void complete() {
    current = null;
    startNanos = 0;
  }

  /**
   * The end of a batch of reads.
   *
   * @param any whether it brought anything but a part of a head
   */
  void readComplete(boolean any) {
    if (!any && startNanos == 0) {
      startNanos = System.nanoTime();
    }
  }

  /** Gives up on the request that is coming in: it took too long. */
  void timeOut() {
    HttpExchange exchange = current;
    if (exchange == null) {
      exchange = new HttpExchange(connection, null, null);
      connection.responses().add(exchange);
      current = exchange;
    }
    release();
    close(exchange);
    exchange.fail(408, "the request did not arrive in time");
  }

  private void release() {
    if (body != null) {
      body.release();
      body = null;
    }
  }

  /** The connection is gone. */
  void close() {
    release();
    finished = true;
  }
}

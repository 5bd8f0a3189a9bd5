package dev.millrace.server.http;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.socket.DuplexChannel;
import io.netty.util.concurrent.GenericFutureListener;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The exchanges of a connection in the order of their requests; an answer is sent when all before
 * it are.
 */
final class ResponseQueue {
  /** How long a client may go on sending after the last answer, before it is cut off. */
  private static final long LINGER_SECONDS = 2;

  private static final byte[] CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n".getBytes(US_ASCII);

  private final HttpConnection connection;
  private final RouteMeters unrouted;
  private final ResponseHead head = new ResponseHead();
  private @Nullable HttpExchange first;
  private @Nullable HttpExchange last;
  private int size;

  /** Bytes of the request bodies of the exchanges. */
  private long bodyBytes;

  private boolean unflushed;

  /** Whether the last answer is sent, or never will be. */
  private boolean closed;

  ResponseQueue(HttpConnection connection, RouteMeters unrouted) {
    this.connection = connection;
    this.unrouted = unrouted;
  }

  boolean isEmpty() {
    return first == null;
  }

  boolean isFull() {
    return size >= connection.config().maxPipelined()
        || bodyBytes > connection.config().maxBodySize();
  }

  /** Adds the exchange of a request that has begun to come in. */
  void add(HttpExchange exchange) {
    if (last == null) {
      first = exchange;
    } else {
      last.next = exchange;
    }
    last = exchange;
    size++;
  }

  /** Takes note of how large a body came with the newest request. */
  void received(HttpExchange exchange, int bytes) {
    exchange.bodySize = bytes;
    bodyBytes += bytes;
    if (isFull()) {
      connection.updateReads();
    }
  }

  /** An exchange is answered, or begins to be: sends it, and those that only waited for it. */
  void answered(HttpExchange exchange) {
    if (closed) {
      exchange.discard();
      return;
    }
    exchange.isReady = true;
    advance();
  }

  /** The first exchange, which is answered piece by piece, has its last piece. */
  void ended(HttpExchange exchange) {
    if (!closed) {
      advance();
    }
  }

  private void advance() {
    boolean wasFull = isFull();
    HttpExchange next = first;
    while (next != null && next.isReady && !closed) {
      if (isStillComing(next)) {
        break;
      }
      first = next.next;
      if (first == null) {
        last = null;
      }
      size--;
      bodyBytes -= next.bodySize;
      send(next);
      next = first;
    }
    if (next != null && !closed) {
      sendContinue(next);
    }
    flushUnlessReading();
    if (wasFull) {
      connection.updateReads();
    }
  }

  /** Lets an answer that comes piece by piece begin, if it has not; whether more of it comes. */
  private boolean isStillComing(HttpExchange exchange) {
    ResponseStream stream = exchange.stream();
    if (stream == null) {
      return false;
    }
    closeIfDraining(exchange);
    return !stream.begin(head);
  }

  private void closeIfDraining(HttpExchange exchange) {
    if (connection.isDraining() && connection.receiver().isComplete(exchange)) {
      exchange.isLast = true;
    }
  }

  private void send(HttpExchange exchange) {
    ChannelHandlerContext context = connection.context();
    closeIfDraining(exchange);
    ResponseStream stream = exchange.stream();
    if (stream != null) {
      exchange.measure(unrouted);
      unflushed = true;
      ChannelFuture end = stream.end();
      if (exchange.isLast) {
        close(end, exchange.isLingering);
      }
      return;
    }
    HttpResponse response = exchange.response();
    ByteBuf first = response.first(head, exchange.isLast, exchange.isHttp10());
    exchange.measure(unrouted);
    unflushed = true;
    ChannelFuture sent;
    if (exchange.isHead()) {
      first.writerIndex(first.readerIndex() + head.length());
      response.rest().forEach(ByteBuf::release);
      sent = context.write(first);
    } else {
      sent = context.write(first);
      for (int i = 0; i < response.rest().size(); i++) {
        sent = context.write(response.rest().get(i));
      }
    }
    Runnable whenSent = response.whenSent();
    if (whenSent != null) {
      sent.addListener(done -> whenSent.run());
    }
    if (exchange.isLast) {
      close(sent, exchange.isLingering);
    }
  }

  /**
   * Closes after the last answer. If the client is still sending, closing at once would reset the
   * connection and take the answer away from it: its side is only shut first.
   */
  private void close(ChannelFuture sent, boolean linger) {
    abortAll();
    GenericFutureListener<ChannelFuture> then =
        done -> {
          if (linger && done.channel() instanceof DuplexChannel duplex) {
            var _ = duplex.shutdownOutput();
            Runnable cutOff =
                () -> {
                  var _ = duplex.close();
                };
            var _ = duplex.eventLoop().schedule(cutOff, LINGER_SECONDS, TimeUnit.SECONDS);
          } else {
            var _ = done.channel().close();
          }
        };
    sent.addListener(then);
  }

  /**
   * Tells the client of {@code exchange} to send its body, if it waits for that and has its turn.
   */
  void sendContinue(HttpExchange exchange) {
    if (exchange == first && exchange.wantsContinue) {
      exchange.wantsContinue = false;
      ChannelHandlerContext context = connection.context();
      var _ =
          context.writeAndFlush(context.alloc().directBuffer(CONTINUE.length).writeBytes(CONTINUE));
    }
  }

  /** Something was written, which {@link #flush} sends. */
  void written() {
    unflushed = true;
  }

  /** Sends what was written, or leaves that to the end of the reads that are being worked off. */
  void flushUnlessReading() {
    if (!connection.isReading()) {
      flush();
    }
  }

  /** The client takes more again. */
  void writable() {
    ResponseStream stream = first == null ? null : first.stream();
    if (stream != null) {
      stream.writable();
    }
  }

  void flush() {
    if (unflushed) {
      unflushed = false;
      connection.context().flush();
    }
  }

  private void abortAll() {
    closed = true;
    HttpExchange exchange = first;
    first = null;
    last = null;
    while (exchange != null) {
      exchange.abort();
      if (exchange.isReady) {
        exchange.discard();
      }
      exchange = exchange.next;
    }
  }

  /** Whether no more answers are sent. */
  boolean isClosed() {
    return closed;
  }

  /** The client is gone: cancels what it waited for. */
  void close() {
    abortAll();
  }
}

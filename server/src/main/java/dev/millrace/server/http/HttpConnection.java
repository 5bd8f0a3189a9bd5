package dev.millrace.server.http;

import static java.util.Objects.requireNonNull;

import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoop;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One client's connection: takes requests in, hands them to their routes, and sends the answers in
 * the order of the requests. Everything but {@link #shutdown} happens on its event loop.
 *
 * <p>Three parts share the work: {@link RequestReceiver} makes exchanges of what is read, {@link
 * ResponseQueue} puts answers into order and on the wire, {@link ConnectionTimer} watches the
 * clock.
 */
final class HttpConnection extends ChannelInboundHandlerAdapter {
  private static final Logger LOG = LoggerFactory.getLogger(HttpConnection.class);

  private static final long LOOK_MILLIS = 5;

  private final HttpFrontEnd frontEnd;
  private final RequestReceiver receiver;
  private final ResponseQueue responses;
  private final ConnectionTimer timer;
  private final RequestDecoder decoder;
  private @Nullable ChannelHandlerContext context;

  /**
   * Whether a batch of reads is being worked off; what is written meanwhile is flushed at its end.
   */
  private boolean reading;

  /** Whether it will look whether there is memory again. */
  private boolean looking;

  HttpConnection(HttpFrontEnd frontEnd, RequestDecoder decoder) {
    this.frontEnd = frontEnd;
    this.decoder = decoder;
    this.receiver = new RequestReceiver(this, frontEnd.router());
    this.responses = new ResponseQueue(this, frontEnd.unrouted());
    this.timer = new ConnectionTimer(this, frontEnd.config());
  }

  HttpConfig config() {
    return frontEnd.config();
  }

  HttpSpans spans() {
    return frontEnd.spans();
  }

  Executor workers() {
    return frontEnd.workers();
  }

  ChannelHandlerContext context() {
    return requireNonNull(context);
  }

  EventLoop eventLoop() {
    return context().channel().eventLoop();
  }

  ByteBufAllocator allocator() {
    return context().alloc();
  }

  RequestReceiver receiver() {
    return receiver;
  }

  ResponseQueue responses() {
    return responses;
  }

  boolean isReading() {
    return reading;
  }

  boolean isDraining() {
    return frontEnd.isDraining();
  }

  /** An exchange's answer is there. */
  void answered(HttpExchange exchange) {
    responses.answered(exchange);
  }

  /**
   * Reads on if there is room for more requests, the client takes its answers, and the server has
   * memory left, else not. Nobody tells a connection that there is memory again, so it looks.
   */
  void updateReads() {
    boolean pressed = frontEnd.isPressed();
    boolean wanted = !pressed && !responses.isFull() && context().channel().isWritable();
    if (context().channel().config().isAutoRead() != wanted) {
      context().channel().config().setAutoRead(wanted);
    }
    if (pressed && !looking && context().channel().isActive()) {
      looking = true;
      var _ =
          eventLoop()
              .schedule(
                  () -> {
                    looking = false;
                    updateReads();
                  },
                  LOOK_MILLIS,
                  TimeUnit.MILLISECONDS);
    }
  }

  /** Closes once what is in flight is answered; from any thread. */
  void shutdown() {
    ChannelHandlerContext started = context;
    if (started != null) {
      started.executor().execute(this::closeWhenIdle);
    }
  }

  private void closeWhenIdle() {
    if (responses.isEmpty() && receiver.isIdle()) {
      // What was answered may still be on its way out.
      context().writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
    }
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    context = ctx;
    frontEnd.opened(this);
    timer.start();
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (!reading) {
      reading = true;
      timer.active();
    }
    if (message instanceof HttpRequest request) {
      receiver.begin(request);
    }
    if (message instanceof HttpContent content) {
      receiver.content(content);
    } else if (!(message instanceof HttpRequest)) {
      ReferenceCountUtil.release(message);
    }
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    if (decoder.tookBytes()) {
      receiver.readComplete(reading);
    }
    reading = false;
    responses.flush();
    if (frontEnd.isPressed()) {
      updateReads();
    }
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    updateReads();
    if (ctx.channel().isWritable()) {
      responses.writable();
    }
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    closed();
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    closed();
  }

  private void closed() {
    timer.stop();
    receiver.close();
    responses.close();
    frontEnd.closed(this);
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    // A reset by the client is its own business.
    if (cause instanceof IOException) {
      LOG.debug("{} failed: {}", ctx.channel(), cause.toString());
    } else {
      LOG.warn("{} failed", ctx.channel(), cause);
    }
    var _ = ctx.close();
  }
}

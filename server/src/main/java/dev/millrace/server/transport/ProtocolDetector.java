package dev.millrace.server.transport;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.util.concurrent.ScheduledFuture;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The first handler of a connection: tells HTTP/2 from everything else by the preface that every
 * HTTP/2 client sends first, then gives way to the handlers of that protocol and hands them the
 * bytes it has seen. The first byte that differs from the preface decides, so an HTTP/1.1 request
 * waits for at most its third byte.
 */
@SuppressWarnings("FutureReturnValueIgnored") // of closing: nothing is left to do if that fails
final class ProtocolDetector extends ByteToMessageDecoder {
  private static final Logger log = LoggerFactory.getLogger(ProtocolDetector.class);
  private static final byte[] PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(US_ASCII);

  private final Outcome outcome;
  private final long timeoutNanos;
  private @Nullable ScheduledFuture<?> timeout;
  private boolean decided;

  /** What to do with a connection. Called on its event loop. */
  interface Outcome {
    /** The client does not speak HTTP/2. Adds the handlers that do to the pipeline, or closes. */
    void http1(ChannelHandlerContext context);

    /** As {@link Http2Server#adopt}. */
    void http2(ChannelHandlerContext context, Runnable ready);
  }

  ProtocolDetector(Outcome outcome, long timeoutNanos) {
    this.outcome = outcome;
    this.timeoutNanos = timeoutNanos;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext context) {
    timeout =
        context
            .executor()
            .schedule(
                () -> {
                  log.debug("{} is closed: it did not show its protocol", context.channel());
                  context.close();
                },
                timeoutNanos,
                TimeUnit.NANOSECONDS);
  }

  @Override
  protected void handlerRemoved0(ChannelHandlerContext context) {
    stopTimer();
  }

  private void stopTimer() {
    if (timeout != null) {
      timeout.cancel(false);
      timeout = null;
    }
  }

  @Override
  protected void decode(ChannelHandlerContext context, ByteBuf in, List<Object> out) {
    if (decided) {
      return;
    }
    int seen = Math.min(in.readableBytes(), PREFACE.length);
    for (int i = 0; i < seen; i++) {
      if (in.getByte(in.readerIndex() + i) != PREFACE[i]) {
        decided = true;
        stopTimer();
        outcome.http1(context);
        context.pipeline().remove(this);
        return;
      }
    }
    if (seen == PREFACE.length) {
      decided = true;
      stopTimer();
      // What arrives from now on is for handlers that are not there yet.
      context.channel().config().setAutoRead(false);
      outcome.http2(context, () -> giveWay(context));
    }
  }

  private void giveWay(ChannelHandlerContext context) {
    if (!context.isRemoved()) {
      context.pipeline().remove(this);
      context.channel().config().setAutoRead(true);
    }
  }

  @Override
  public void userEventTriggered(ChannelHandlerContext context, Object event) throws Exception {
    if (event == Transport.Event.DRAINING && !decided && actualReadableBytes() == 0) {
      context.close();
    }
    super.userEventTriggered(context, event);
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
    log.debug("{} failed before it showed its protocol", context.channel(), cause);
    context.close();
  }
}

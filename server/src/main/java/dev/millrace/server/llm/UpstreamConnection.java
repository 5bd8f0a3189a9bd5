package dev.millrace.server.llm;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.spi.Upstream;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelPipeline;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseDecoder;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A connection to an upstream, with one request on it at a time. Everything happens on its event
 * loop.
 */
final class UpstreamConnection extends ChannelInboundHandlerAdapter {
  /** What the answer to a request goes to. */
  interface Receiver {
    /** Its status and headers. */
    void head(int status, HttpHeaders headers);

    /** A piece of its body, which is taken over. */
    void content(ByteBuf piece);

    /** The end of a batch of pieces. */
    void readComplete();

    /** It is complete; the connection is no longer this request's. */
    void completed();

    /** The connection ended before the answer did, or what came is not HTTP. */
    void broken(Throwable cause);
  }

  private static final HttpDecoderConfig ANSWERS =
      new HttpDecoderConfig()
          .setMaxInitialLineLength(16 << 10)
          .setMaxHeaderSize(64 << 10)
          .setMaxChunkSize(64 << 10)
          .setValidateHeaders(false);

  /** Makes messages of what the upstream sends. */
  private static final class AnswerDecoder extends HttpResponseDecoder {
    /** Whether an answer has begun of which the end has not been passed on. */
    private boolean isInside;

    AnswerDecoder() {
      super(ANSWERS);
    }

    @Override
    protected HttpMessage createMessage(String[] initialLine) {
      isInside = true;
      return super.createMessage(initialLine);
    }

    /** The end of an answer was passed on. */
    void ended() {
      isInside = false;
    }

    /** Whether nothing has come of an answer that has not been passed on. */
    boolean isEmpty() {
      return !isInside && actualReadableBytes() == 0;
    }
  }

  /** Largest body that is copied behind its head: one buffer is sent faster than two. */
  private static final int COPIED = 4 << 10;

  private final Upstream upstream;
  private final UpstreamPool pool;
  private final AnswerDecoder decoder = new AnswerDecoder();
  private @Nullable ChannelHandlerContext context;
  private @Nullable Receiver receiver;

  /** Whether an answer of the server's own making, as 100, is passing by. */
  private boolean isInterim;

  private boolean keepAlive;

  /** Whether an answer is complete, and what was read with it still has to be looked at. */
  private boolean isAnswered;

  private boolean isReused;
  private boolean sawBytes;

  private long idleSince;

  UpstreamConnection(Upstream upstream, UpstreamPool pool) {
    this.upstream = upstream;
    this.pool = pool;
  }

  Upstream upstream() {
    return upstream;
  }

  private Channel channel() {
    return requireNonNull(context, "the connection has no channel yet").channel();
  }

  /** Adds what reads the upstream's answers to the end of {@code pipeline}. */
  void addTo(ChannelPipeline pipeline) {
    pipeline.addLast(decoder, this);
  }

  /** Whether a request can be sent: it is open, and nothing has come that nobody asked for. */
  boolean isUsable() {
    return channel().isActive() && decoder.isEmpty();
  }

  /** It goes into the pool: from now on the upstream may close it for being idle. */
  void idle(long now) {
    idleSince = now;
    isReused = true;
  }

  /** When it was put into the pool. */
  long idleSince() {
    return idleSince;
  }

  /** Whether it has been in the pool. */
  boolean isReused() {
    return isReused;
  }

  /** Whether anything of the answer has come. */
  boolean sawBytes() {
    return sawBytes;
  }

  /** How much room a head needs behind it for a body of that size. */
  static int room(int bodySize) {
    return bodySize <= COPIED ? bodySize : 0;
  }

  /**
   * Sends a request; takes both buffers over.
   *
   * @param head best with {@link #room} behind it
   */
  void send(ByteBuf head, ByteBuf body, Receiver answerTo) {
    receiver = answerTo;
    sawBytes = false;
    keepAlive = true;
    int size = body.readableBytes();
    if (size > 0 && size <= COPIED) {
      var _ = channel().writeAndFlush(head.writeBytes(body));
      body.release();
    } else if (size > 0) {
      var _ = channel().write(head);
      var _ = channel().writeAndFlush(body);
    } else {
      body.release();
      var _ = channel().writeAndFlush(head);
    }
  }

  /** Whether more of the answer is read. */
  void setReading(boolean reading) {
    channel().config().setAutoRead(reading);
  }

  /**
   * Reads the rest of an answer that nobody needs, to keep the connection, for a second at most.
   */
  void drain() {
    receiver = Drain.REST;
    setReading(true);
    var _ =
        channel()
            .eventLoop()
            .schedule(
                () -> {
                  if (receiver == Drain.REST) {
                    close();
                  }
                },
                1,
                TimeUnit.SECONDS);
  }

  /** Where that goes. */
  private enum Drain implements Receiver {
    REST;

    @Override
    public void head(int status, HttpHeaders headers) {}

    @Override
    public void content(ByteBuf piece) {
      piece.release();
    }

    @Override
    public void readComplete() {}

    @Override
    public void completed() {}

    @Override
    public void broken(Throwable cause) {}
  }

  /** Ends the connection, and with it what the upstream is doing for it. */
  void close() {
    receiver = null;
    isAnswered = false;
    var _ = channel().close();
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    context = ctx;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (message instanceof LastHttpContent) {
      decoder.ended();
    }
    Receiver current = receiver;
    if (current == null) { // nobody asked for it
      ReferenceCountUtil.release(message);
      close();
      return;
    }
    sawBytes = true;
    if (message instanceof HttpResponse response) {
      if (response.decoderResult().isFailure()) {
        ReferenceCountUtil.release(message);
        fail(response.decoderResult().cause());
        return;
      }
      int status = response.status().code();
      isInterim = status < 200;
      if (!isInterim) {
        keepAlive = HttpUtil.isKeepAlive(response);
        current.head(status, response.headers());
      }
    }
    if (message instanceof HttpContent content) {
      content(content);
    }
  }

  @SuppressWarnings("ReferenceEquality") // whether it is still the same one's
  private void content(HttpContent content) {
    Receiver current = receiver;
    if (current == null) { // given up by what it did with the head
      content.release();
      return;
    }
    if (content.decoderResult().isFailure()) {
      content.release();
      fail(content.decoderResult().cause());
      return;
    }
    if (content.content().isReadable() && !isInterim) {
      current.content(content.content());
    } else {
      content.release();
    }
    if (content instanceof LastHttpContent && !isInterim && receiver == current) {
      receiver = null;
      isAnswered = true;
      current.completed();
    }
  }

  private void fail(Throwable cause) {
    Receiver current = receiver;
    receiver = null;
    var _ = channel().close();
    if (current != null) {
      current.broken(cause);
    }
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    if (receiver != null) {
      receiver.readComplete();
    } else if (isAnswered) {
      isAnswered = false;
      rest();
    }
  }

  /**
   * The request has its answer. Only now can the next one have the connection: what is read behind
   * an answer would be taken for the next one's.
   */
  private void rest() {
    if (keepAlive && isUsable()) {
      setReading(true);
      pool.put(this);
    } else {
      close();
    }
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    pool.remove(this);
    fail(new IOException("the connection was closed"));
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    fail(cause);
  }
}

package dev.millrace.benchmarks.load;

import static java.util.Objects.requireNonNull;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import org.jspecify.annotations.Nullable;

/** A connection with at most one request on it. For the client's one thread. */
final class LoadConnection extends ChannelInboundHandlerAdapter {
  private final LoadRun run;
  private final AnswerReader answer = new AnswerReader();
  private @Nullable Channel channel;
  private boolean busy;
  private long dueNanos;

  LoadConnection(LoadRun run) {
    this.run = run;
  }

  /** Sends a request that was due then. */
  void send(LoadRequest request, long due) {
    Channel open = requireNonNull(channel);
    busy = true;
    dueNanos = due;
    var _ = open.writeAndFlush(request.copy(), open.voidPromise());
  }

  /** Whether a request has no answer. */
  boolean isBusy() {
    return busy;
  }

  /** Whether it can be sent on. */
  boolean isOpen() {
    return channel != null && channel.isActive();
  }

  /** When the latest request was due. */
  long dueNanos() {
    return dueNanos;
  }

  void close() {
    if (channel != null) {
      var _ = channel.close();
    }
  }

  @Override
  public void channelActive(ChannelHandlerContext context) {
    channel = context.channel();
    run.opened(this);
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) {
    ByteBuf in = (ByteBuf) message;
    try {
      while (in.isReadable()) {
        if (answer.read(in)) {
          if (!busy) {
            throw new IllegalStateException("an answer that nobody asked for");
          }
          busy = false;
          run.answered(this, answer.status(), answer.tensorBytes());
        }
      }
    } finally {
      in.release();
    }
  }

  @Override
  public void channelInactive(ChannelHandlerContext context) {
    boolean lost = busy;
    busy = false;
    run.closed(this, lost);
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
    run.failed(cause);
    var _ = context.close();
  }
}

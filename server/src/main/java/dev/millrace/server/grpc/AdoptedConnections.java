package dev.millrace.server.grpc;

import io.grpc.netty.NettyServerBuilder;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelOption;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.local.LocalAddress;
import io.netty.channel.local.LocalIoHandler;
import io.netty.channel.local.LocalServerChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;

/**
 * Makes a gRPC server take connections that somebody else has accepted. To the server it looks as
 * if its own listener had accepted them: it puts its handlers into their pipelines, they stay on
 * the event loops that they are on, and no byte is copied from one connection to another.
 *
 * <p>How: the server listens on an address inside this process that nobody connects to. What a
 * listener accepts it fires as a message through its pipeline, whose last handler (of Netty's
 * {@code ServerBootstrap}) adds the server's handlers to the new channel and registers it with an
 * event loop. So does {@link #adopt}, but with a channel that is registered already, which {@link
 * EventLoops} puts up with.
 */
final class AdoptedConnections implements AutoCloseable {
  private final EventLoops loops = new EventLoops();
  private final LocalServerChannel listener = new LocalServerChannel();

  /** A builder of the server that shall take the connections; to be used once. */
  NettyServerBuilder newServerBuilder() {
    return NettyServerBuilder.forAddress(new LocalAddress(AdoptedConnections.class))
        .channelFactory(() -> listener)
        .bossEventLoopGroup(loops)
        .workerEventLoopGroup(loops)
        .withChildOption(ChannelOption.ALLOCATOR, ByteBufAllocator.DEFAULT);
  }

  /**
   * Hands a connection to the server, or closes it if the server has shut down. Returns at once.
   *
   * @param ready run on the connection's event loop when the server's handlers are in its pipeline
   */
  @SuppressWarnings("FutureReturnValueIgnored") // of closing: nothing is left to do if that fails
  void adopt(Channel connection, Runnable ready) {
    try {
      // The listener closes on the same thread: it does not while this runs.
      loops.execute(() -> {
        if (listener.isActive()) {
          listener.pipeline().fireChannelRead(connection);
          // Behind the task that adds the handlers.
          connection.eventLoop().execute(ready);
        } else {
          connection.close();
        }
      });
    } catch (RejectedExecutionException stopped) {
      connection.close();
    }
  }

  /** Ends the listener's thread; to be called when the server is terminated. */
  @Override
  @SuppressWarnings("FutureReturnValueIgnored") // nobody waits for an idle thread
  public void close() {
    loops.shutdownGracefully(0, 1, TimeUnit.SECONDS);
  }

  /** One thread for the listener, and for connections none: they have theirs. */
  private static final class EventLoops extends MultiThreadIoEventLoopGroup {
    EventLoops() {
      super(
          1, new DefaultThreadFactory("millrace-grpc-listener", true), LocalIoHandler.newFactory());
    }

    @Override
    public ChannelFuture register(Channel channel) {
      return channel.isRegistered() ? channel.newSucceededFuture() : super.register(channel);
    }
  }
}

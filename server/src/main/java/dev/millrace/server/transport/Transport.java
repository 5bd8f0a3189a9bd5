package dev.millrace.server.transport;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * The listening sockets and the connections made to them. On one port every connection is either
 * HTTP/1.1 or HTTP/2, which its first bytes tell; on the other it has to be HTTP/2. A connection
 * that shows neither in time is closed. Thread-safe.
 */
public final class Transport {
  /** What pipelines of HTTP/1.1 connections are told, as a user event. */
  public enum Event {
    /**
     * The server is about to stop: finish the requests that have come in, then close; nothing more
     * will be read from a connection after the grace period.
     */
    DRAINING
  }

  private final EventLoops loops;
  private final TransportConfig config;
  private final Consumer<ChannelPipeline> http1;
  private final Http2Server http2;
  private final List<Channel> listeners = new ArrayList<>(2);

  /** The HTTP/1.1 connections and the ones not told yet. */
  private final ChannelGroup connections =
      new DefaultChannelGroup("http", GlobalEventExecutor.INSTANCE, true);

  private volatile boolean draining;

  private Transport(
      EventLoops loops,
      TransportConfig config,
      Consumer<ChannelPipeline> http1,
      Http2Server http2) {
    this.loops = loops;
    this.config = config;
    this.http1 = http1;
    this.http2 = http2;
  }

  /**
   * Listens on the configured ports.
   *
   * @param http1 adds the handlers for HTTP/1.1 to the end of a pipeline; called on the
   *     connection's event loop when the connection is active already, so that the handlers get no
   *     {@code channelActive}; the first bytes of the first request follow at once
   * @param http2 takes the other connections; shut down by {@link #close}
   * @throws IOException if a port cannot be had
   */
  public static Transport bind(
      EventLoops loops, TransportConfig config, Consumer<ChannelPipeline> http1, Http2Server http2)
      throws IOException {
    Transport transport = new Transport(loops, config, http1, http2);
    try {
      transport.listen(config.port(), transport.new BothProtocols());
      if (config.hasGrpcPort()) {
        transport.listen(config.grpcPort(), transport.new Http2Only());
      }
    } catch (IOException e) {
      transport.stopAccepting();
      throw e;
    }
    return transport;
  }

  private void listen(int port, ProtocolDetector.Outcome outcome) throws IOException {
    InetSocketAddress address =
        config.host().isEmpty()
            ? new InetSocketAddress(port)
            : new InetSocketAddress(config.host(), port);
    ServerBootstrap bootstrap =
        new ServerBootstrap()
            .group(loops.group())
            .channel(loops.serverChannelType())
            .option(ChannelOption.SO_BACKLOG, 4096)
            .option(ChannelOption.SO_REUSEADDR, true)
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childHandler(new NewConnection(outcome));
    ChannelFuture bound = bootstrap.bind(address).awaitUninterruptibly();
    if (!bound.isSuccess()) {
      throw new IOException(
          "cannot listen on port %d%s: %s"
              .formatted(
                  port,
                  config.host().isEmpty() ? "" : " of '%s'".formatted(config.host()),
                  address.isUnresolved() ? "there is no such host" : bound.cause().getMessage()),
          bound.cause());
    }
    listeners.add(bound.channel());
  }

  /** The port for HTTP/1.1 and gRPC. */
  public int port() {
    return port(0);
  }

  /** The port for gRPC: the one of its own if there is one, else the shared one. */
  public int grpcPort() {
    return port(listeners.size() - 1);
  }

  private int port(int listener) {
    return ((InetSocketAddress) listeners.get(listener).localAddress()).getPort();
  }

  /** Frees the ports; connections live on. A second call does nothing. */
  public void stopAccepting() {
    for (Channel listener : listeners) {
      listener.close().awaitUninterruptibly();
    }
  }

  /**
   * Stops accepting, asks all connections to finish, waits for them, and closes the ones that are
   * left after {@code grace}. Blocks; not to be called on an event loop. The event loops stay.
   *
   * @return whether every connection had finished
   */
  public boolean close(Duration grace) {
    long start = System.nanoTime();
    stopAccepting();
    draining = true;
    for (Channel connection : connections) {
      connection.pipeline().fireUserEventTriggered(Event.DRAINING);
    }
    http2.shutdown();
    boolean finished;
    try {
      boolean http2Finished = http2.awaitTermination(remaining(start, grace));
      long left = remaining(start, grace).toNanos();
      finished = connections.newCloseFuture().await(left, TimeUnit.NANOSECONDS) && http2Finished;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      finished = false;
    }
    connections.close().awaitUninterruptibly();
    http2.shutdownNow();
    return finished;
  }

  private static Duration remaining(long start, Duration grace) {
    Duration left = grace.minusNanos(System.nanoTime() - start);
    return left.isNegative() ? Duration.ZERO : left;
  }

  private final class NewConnection extends ChannelInitializer<Channel> {
    private final ProtocolDetector.Outcome outcome;

    NewConnection(ProtocolDetector.Outcome outcome) {
      this.outcome = outcome;
    }

    @Override
    protected void initChannel(Channel connection) {
      connections.add(connection);
      connection
          .pipeline()
          .addLast(new ProtocolDetector(outcome, config.detectionTimeout().toNanos()));
    }
  }

  @SuppressWarnings("FutureReturnValueIgnored") // of closing: nothing is left to do if that fails
  private class Http2Only implements ProtocolDetector.Outcome {
    @Override
    public void http1(ChannelHandlerContext context) {
      context.close();
    }

    @Override
    public final void http2(ChannelHandlerContext context, Runnable ready) {
      connections.remove(context.channel());
      http2.adopt(context.channel(), ready);
    }
  }

  private final class BothProtocols extends Http2Only {
    @Override
    public void http1(ChannelHandlerContext context) {
      http1.accept(context.pipeline());
      if (draining) {
        // After the handlers have seen the request that brought us here.
        context.executor().execute(() -> context.pipeline().fireUserEventTriggered(Event.DRAINING));
      }
    }
  }
}

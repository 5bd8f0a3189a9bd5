package dev.millrace.benchmarks.load;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioSocketChannel;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * Asks a server over keep-alive HTTP/1.1 connections, one request at a time on each, in a closed or
 * an open loop. Made to be cheap, for it shares its CPUs with the server: one thread, a request
 * whose bytes are made once, answers of which only status and sizes are looked at.
 *
 * <p>Thread-safe. Several loads may run at once; they share the thread, and each one's {@link
 * LoadResult#clientCpuNanos} is that of all.
 */
public final class LoadClient implements AutoCloseable {
  private final EventLoopGroup group;
  private final EventLoop loop;
  private final Bootstrap bootstrap;

  /** A client with one thread. */
  public LoadClient() {
    boolean epoll = Epoll.isAvailable();
    group =
        new MultiThreadIoEventLoopGroup(
            1, epoll ? EpollIoHandler.newFactory() : NioIoHandler.newFactory());
    loop = group.next();
    bootstrap =
        new Bootstrap()
            .group(loop)
            .channel(epoll ? EpollSocketChannel.class : NioSocketChannel.class)
            .option(ChannelOption.TCP_NODELAY, true);
  }

  /**
   * Starts a load.
   *
   * @return the result, when the last request is answered or was waited for for ten seconds; fails
   *     if a connection cannot be opened
   */
  public CompletableFuture<LoadResult> start(LoadRequest request, Load load, LoadWindow window) {
    LoadRun run =
        switch (load) {
          case Load.ClosedLoop closed -> new ClosedRun(loop, bootstrap, request, closed, window);
          case Load.OpenLoop open -> new OpenRun(loop, bootstrap, request, open, window);
        };
    return run.start();
  }

  /** Runs a load, and blocks until its result is there. */
  public LoadResult run(LoadRequest request, Load load, LoadWindow window) {
    return start(request, load, window).join();
  }

  @Override
  public void close() {
    group.shutdownGracefully(0, 5, TimeUnit.SECONDS).syncUninterruptibly();
  }
}

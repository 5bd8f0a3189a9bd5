package dev.millrace.server.transport;

import io.netty.channel.EventLoop;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.ServerSocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.FastThreadLocal;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The threads that move bytes, named {@code millrace-io-<n>}; nothing on them may block. Epoll
 * where the system has it, else NIO. Thread-safe.
 */
public final class EventLoops implements AutoCloseable {
  private static final FastThreadLocal<@Nullable EventLoop> CURRENT = new FastThreadLocal<>();

  private final EventLoopGroup group;

  private EventLoops(EventLoopGroup group) {
    this.group = group;
  }

  /** Starts that many threads. Whoever started them closes them, after all that uses them. */
  public static EventLoops start(int threads) {
    IoHandlerFactory io =
        Epoll.isAvailable() ? EpollIoHandler.newFactory() : NioIoHandler.newFactory();
    EventLoopGroup group =
        new MultiThreadIoEventLoopGroup(threads, new DefaultThreadFactory("millrace-io"), io);
    for (EventExecutor loop : group) {
      loop.execute(() -> CURRENT.set((EventLoop) loop));
    }
    return new EventLoops(group);
  }

  /**
   * The event loop whose thread this is; anywhere else, an executor that runs tasks at once on the
   * thread that brings them.
   */
  public static Executor current() {
    EventLoop loop = CURRENT.getIfExists();
    return loop == null ? Runnable::run : loop;
  }

  /**
   * Runs a task on this thread: when its event loop has read what has arrived by now; anywhere
   * else, at once.
   */
  public static void afterReading(Runnable task) {
    try {
      current().execute(task);
    } catch (RejectedExecutionException e) { // at the very end of the server
      task.run();
    }
  }

  /** The loops for channels and timers. */
  public EventLoopGroup group() {
    return group;
  }

  /** What listens on a port with these loops. */
  Class<? extends ServerSocketChannel> serverChannelType() {
    return Epoll.isAvailable() ? EpollServerSocketChannel.class : NioServerSocketChannel.class;
  }

  /** Closes what is still open, ends the threads and waits for them, at most 10 seconds. */
  @Override
  public void close() {
    group.shutdownGracefully(0, 10, TimeUnit.SECONDS).awaitUninterruptibly(10, TimeUnit.SECONDS);
  }
}

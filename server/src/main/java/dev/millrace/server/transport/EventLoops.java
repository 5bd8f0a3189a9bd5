package dev.millrace.server.transport;

import dev.millrace.runtime.FrontEnd;
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
  private static final FastThreadLocal<@Nullable Loop> CURRENT = new FastThreadLocal<>();
  private static final FrontEnd FRONT_END = new LoopsFrontEnd();

  private static final double WAIT_SMOOTHING = 1.0 / 16;
  private static final long WAIT_LASTS_NANOS = 100_000_000;

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
      loop.execute(() -> CURRENT.set(new Loop((EventLoop) loop)));
    }
    return new EventLoops(group);
  }

  /**
   * The event loop whose thread this is; anywhere else, an executor that runs tasks at once on the
   * thread that brings them.
   */
  public static Executor current() {
    Loop current = CURRENT.getIfExists();
    return current == null ? Runnable::run : current.loop;
  }

  /**
   * Notes that what this thread's event loop does now was brought to it at {@code nanos}, by {@link
   * System#nanoTime}, as answers are by other threads.
   */
  public static void waitedSince(long nanos) {
    Loop current = CURRENT.getIfExists();
    if (current != null) {
      current.waitedSince(nanos);
    }
  }

  /** What the runtime has to know of these threads; of others, it knows of no wait. */
  public static FrontEnd frontEnd() {
    return FRONT_END;
  }

  /** An event loop, and how long what it is brought waits for it; for its own thread. */
  private static final class Loop {
    private final EventLoop loop;
    private double waitNanos;
    private double deviationNanos;
    private long learnedNanos = System.nanoTime();

    private Loop(EventLoop loop) {
      this.loop = loop;
    }

    private void waitedSince(long nanos) {
      long now = System.nanoTime();
      double wait = now - nanos;
      if (isOld(now)) {
        waitNanos = wait;
        deviationNanos = 0;
      }
      double error = wait - waitNanos;
      waitNanos += WAIT_SMOOTHING * error;
      deviationNanos += WAIT_SMOOTHING * (Math.abs(error) - deviationNanos);
      learnedNanos = now;
    }

    /** Else what was learned would stay, if because of it nothing is brought any more. */
    private boolean isOld(long now) {
      return now - learnedNanos > WAIT_LASTS_NANOS;
    }

    /** How long most of it waits, lately. */
    private double mostNanos() {
      return isOld(System.nanoTime()) ? 0 : waitNanos + deviationNanos;
    }
  }

  private static final class LoopsFrontEnd implements FrontEnd {
    /** Tasks come after what can be read has been. */
    @Override
    public void afterReading(Runnable task) {
      try {
        current().execute(task);
      } catch (RejectedExecutionException e) { // at the very end of the server
        task.run();
      }
    }

    /**
     * As long as most answers wait for the loop; and what arrives waits for it just as long, which
     * nothing measures.
     */
    @Override
    public long wayNanos() {
      Loop current = CURRENT.getIfExists();
      return current == null ? 0 : (long) (2 * current.mostNanos());
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

package dev.millrace.server.llm;

import dev.millrace.api.spi.Upstream;
import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.NetUtil;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/**
 * The connections of one event loop to upstreams. Idle ones are taken youngest first and are closed
 * soon, because engines close theirs after 5 seconds, and a request that meets that is lost.
 * Everything but the constructor happens on the event loop.
 */
final class UpstreamPool {
  static final Duration IDLE_LIMIT = Duration.ofSeconds(3);

  private final EventLoop loop;
  private final Map<Upstream, Deque<UpstreamConnection>> idle = new HashMap<>();
  private @Nullable SslContext tls;
  private boolean sweeping;

  UpstreamPool(EventLoop loop) {
    this.loop = loop;
  }

  /** An idle connection, now the caller's; null if there is none. */
  @Nullable UpstreamConnection take(Upstream upstream) {
    Deque<UpstreamConnection> connections = idle.get(upstream);
    if (connections == null) {
      return null;
    }
    long now = System.nanoTime();
    for (UpstreamConnection youngest = connections.pollFirst();
        youngest != null;
        youngest = connections.pollFirst()) {
      if (youngest.isUsable() && now - youngest.idleSince() < IDLE_LIMIT.toNanos()) {
        return youngest;
      }
      youngest.close();
    }
    return null;
  }

  /** Keeps a connection for the next request. */
  void put(UpstreamConnection connection) {
    connection.idle(System.nanoTime());
    idle.computeIfAbsent(connection.upstream(), upstream -> new ArrayDeque<>())
        .addFirst(connection);
    if (!sweeping) {
      sweeping = true;
      var _ = loop.schedule(this::sweep, IDLE_LIMIT.toMillis() / 2, TimeUnit.MILLISECONDS);
    }
  }

  /** Closes what has been idle for too long, and looks again as long as anything is idle. */
  private void sweep() {
    long now = System.nanoTime();
    for (Deque<UpstreamConnection> connections : idle.values()) {
      for (UpstreamConnection eldest = connections.peekLast();
          eldest != null && now - eldest.idleSince() >= IDLE_LIMIT.toNanos();
          eldest = connections.peekLast()) {
        connections.removeLast();
        eldest.close();
      }
    }
    idle.values().removeIf(Deque::isEmpty);
    sweeping = !idle.isEmpty();
    if (sweeping) {
      var _ = loop.schedule(this::sweep, IDLE_LIMIT.toMillis() / 2, TimeUnit.MILLISECONDS);
    }
  }

  /** A connection is gone. */
  void remove(UpstreamConnection connection) {
    Deque<UpstreamConnection> connections = idle.get(connection.upstream());
    if (connections != null) {
      connections.remove(connection);
    }
  }

  /**
   * Makes a new connection.
   *
   * @param then called on the event loop, later
   * @param otherwise called on the event loop with why there is none
   */
  void connect(
      Upstream upstream,
      Duration timeout,
      Consumer<UpstreamConnection> then,
      Consumer<Throwable> otherwise) {
    String host = upstream.address().getHost().replaceAll("^\\[|]$", "");
    byte[] numeric = NetUtil.createByteArrayFromIpAddressString(host);
    if (numeric != null || host.equals("localhost")) { // nothing that could take long to find out
      resolveAndConnect(upstream, host, timeout, then, otherwise);
      return;
    }
    Thread.startVirtualThread(() -> {
      try {
        InetAddress address = InetAddress.getByName(host);
        loop.execute(() -> connect(upstream, address, timeout, then, otherwise));
      } catch (UnknownHostException e) {
        executeQuietly(() -> otherwise.accept(e));
      } catch (RejectedExecutionException stopped) {
        // Nobody waits for it any more.
      }
    });
  }

  private void executeQuietly(Runnable task) {
    try {
      loop.execute(task);
    } catch (RejectedExecutionException stopped) {
      // As above.
    }
  }

  private void resolveAndConnect(
      Upstream upstream,
      String host,
      Duration timeout,
      Consumer<UpstreamConnection> then,
      Consumer<Throwable> otherwise) {
    try {
      connect(upstream, InetAddress.getByName(host), timeout, then, otherwise);
    } catch (UnknownHostException e) {
      otherwise.accept(e);
    }
  }

  private void connect(
      Upstream upstream,
      InetAddress address,
      Duration timeout,
      Consumer<UpstreamConnection> then,
      Consumer<Throwable> otherwise) {
    UpstreamConnection connection = new UpstreamConnection(upstream, this);
    SslHandler secured = null;
    try {
      secured = upstream.isSecure() ? tls(upstream) : null;
    } catch (SSLException e) {
      otherwise.accept(e);
      return;
    }
    SslHandler security = secured;
    long millis = timeout.isZero() ? Integer.MAX_VALUE : Math.max(1, timeout.toMillis());
    Bootstrap bootstrap =
        new Bootstrap()
            .group(loop)
            .channel(Epoll.isAvailable() ? EpollSocketChannel.class : NioSocketChannel.class)
            .option(ChannelOption.TCP_NODELAY, true)
            .option(ChannelOption.SO_KEEPALIVE, true)
            .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, (int) Math.min(millis, Integer.MAX_VALUE))
            .handler(
                new ChannelInitializer<SocketChannel>() {
                  @Override
                  protected void initChannel(SocketChannel channel) {
                    if (security != null) {
                      security.setHandshakeTimeoutMillis(millis);
                      channel.pipeline().addLast(security);
                    }
                    connection.addTo(channel.pipeline());
                  }
                });
    bootstrap
        .connect(new InetSocketAddress(address, upstream.port()))
        .addListener(connected -> {
          if (!connected.isSuccess()) {
            otherwise.accept(cause(connected.cause()));
          } else if (security == null) {
            then.accept(connection);
          } else {
            security
                .handshakeFuture()
                .addListener(shaken -> {
                  if (shaken.isSuccess()) {
                    then.accept(connection);
                  } else {
                    connection.close();
                    otherwise.accept(cause(shaken.cause()));
                  }
                });
          }
        });
  }

  private static Throwable cause(@Nullable Throwable cause) {
    return cause == null ? new IOException("the connection was given up") : cause;
  }

  private SslHandler tls(Upstream upstream) throws SSLException {
    if (tls == null) {
      tls = SslContextBuilder.forClient().endpointIdentificationAlgorithm("HTTPS").build();
    }
    return tls.newHandler(ByteBufAllocator.DEFAULT, upstream.address().getHost(), upstream.port());
  }

  /** Closes what is idle. */
  void close() {
    for (Deque<UpstreamConnection> connections : idle.values()) {
      for (UpstreamConnection connection : connections.toArray(UpstreamConnection[]::new)) {
        connection.close();
      }
    }
    idle.clear();
  }
}

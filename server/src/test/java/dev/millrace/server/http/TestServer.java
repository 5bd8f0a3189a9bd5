package dev.millrace.server.http;

import dev.millrace.server.transport.EventLoops;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;

/** An HTTP front end that listens on a free port of this machine. */
public final class TestServer implements AutoCloseable {
  private final EventLoops loops = EventLoops.start(2);
  private final ExecutorService workers = Executors.newFixedThreadPool(2);
  private final PrometheusMeterRegistry meters =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final AtomicBoolean pressed = new AtomicBoolean();
  private final HttpFrontEnd frontEnd;
  private final Channel listener;

  /** A server of these protocols beside {@link ServerRoutes}. */
  public TestServer(HttpConfig config, Routes... protocols) {
    List<Routes> all = new ArrayList<>(List.of(protocols));
    all.add(new ServerRoutes(meters));
    frontEnd = new HttpFrontEnd(config, all, meters, Optional.empty(), workers, pressed::get);
    listener =
        new ServerBootstrap()
            .group(loops.group())
            .channel(
                Epoll.isAvailable() ? EpollServerSocketChannel.class : NioServerSocketChannel.class)
            .childHandler(
                new ChannelInitializer<>() {
                  @Override
                  protected void initChannel(Channel channel) {
                    frontEnd.install(channel.pipeline());
                  }
                })
            .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
            .syncUninterruptibly()
            .channel();
  }

  /** Whether the server behaves as if its memory were full. */
  public void setPressed(boolean value) {
    pressed.set(value);
  }

  public int port() {
    return ((InetSocketAddress) listener.localAddress()).getPort();
  }

  public HttpFrontEnd frontEnd() {
    return frontEnd;
  }

  public RawClient connect() throws java.io.IOException {
    return new RawClient(port());
  }

  @Override
  public void close() {
    listener.close().syncUninterruptibly();
    // Event loops that stop forget what their connections hold.
    Await.until("the clients are gone", () -> frontEnd.connections() == 0);
    loops.close();
    workers.close();
  }
}

package dev.millrace.benchmarks.load;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandler;
import io.netty.channel.EventLoop;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * One load from the first connection to the result. Everything happens on one event loop; a
 * subclass says when a connection sends.
 */
abstract sealed class LoadRun permits ClosedRun, OpenRun {
  /** How long a client waits for its last answers. */
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  final EventLoop loop;
  final LoadWindow window;
  final Tally tally;
  private final LoadRequest request;
  private final Bootstrap bootstrap;
  private final int connectionCount;
  private final List<LoadConnection> connections = new ArrayList<>();
  private final CompletableFuture<LoadResult> result = new CompletableFuture<>();
  private long startNanos;
  private boolean begun;
  private long cpuAtStart;
  private long cpuInWindow;

  LoadRun(EventLoop loop, Bootstrap bootstrap, LoadRequest request, Load load, LoadWindow window) {
    this.loop = loop;
    this.bootstrap = bootstrap;
    this.request = request;
    this.window = window;
    this.connectionCount = load.connections();
    this.tally = new Tally(request.timeout().toNanos());
  }

  /** Opens the connections; when all are there, the load begins. Called on any thread, once. */
  final CompletableFuture<LoadResult> start() {
    loop.execute(() -> {
      for (int i = 0; i < connectionCount; i++) {
        connect();
      }
    });
    return result;
  }

  /** All connections are open. */
  abstract void begin(Iterable<LoadConnection> opened);

  /** A connection has nothing to do. */
  abstract void free(LoadConnection connection, long nowNanos);

  /** Whether no request will be sent any more. */
  abstract boolean isOver(long nowNanos);

  /** Whether a request counts that was due then and has been answered now. */
  abstract boolean counts(long dueNanos, long nowNanos);

  /** Nanoseconds since the load began. */
  final long elapsed() {
    return System.nanoTime() - startNanos;
  }

  final void send(LoadConnection connection, long dueNanos) {
    connection.send(request, dueNanos);
  }

  final boolean inWindow(long elapsed) {
    return elapsed >= window.startNanos() && elapsed < window.endNanos();
  }

  private void connect() {
    ChannelHandler connection = new LoadConnection(this);
    bootstrap
        .clone()
        .handler(connection)
        .connect(request.server())
        .addListener((ChannelFuture connected) -> {
          if (!connected.isSuccess()) {
            result.completeExceptionally(connected.cause());
            closeAll();
          }
        });
  }

  final void opened(LoadConnection connection) {
    if (result.isDone()) {
      connection.close();
      return;
    }
    connections.add(connection);
    if (begun) {
      free(connection, elapsed());
      return;
    }
    if (connections.size() == connectionCount) {
      begun = true;
      startNanos = System.nanoTime();
      at(window.startNanos(), () -> cpuAtStart = cpu());
      at(
          window.endNanos(),
          () -> {
            cpuInWindow = cpu() - cpuAtStart;
            finishIfIdle();
          });
      at(window.endNanos() + PATIENCE.toNanos(), this::finish);
      begin(List.copyOf(connections));
    }
  }

  final void answered(LoadConnection connection, int status, int tensorBytes) {
    long now = elapsed();
    if (counts(connection.dueNanos(), now)) {
      tally.answered(status, tensorBytes, now - connection.dueNanos());
    }
    free(connection, now);
    finishIfIdle();
  }

  final void closed(LoadConnection connection, boolean lost) {
    connections.remove(connection);
    if (result.isDone()) {
      return;
    }
    long now = elapsed();
    if (lost && counts(connection.dueNanos(), now)) {
      tally.lost();
    }
    connect();
    finishIfIdle();
  }

  final void failed(Throwable cause) {
    tally.failed(String.valueOf(cause));
  }

  /** Runs something on the loop, so long after the beginning. */
  final void at(long nanos, Runnable task) {
    var _ = loop.schedule(task, nanos - elapsed(), TimeUnit.NANOSECONDS);
  }

  private void finishIfIdle() {
    long now = elapsed();
    if (now >= window.endNanos()
        && isOver(now)
        && connections.stream().noneMatch(LoadConnection::isBusy)) {
      finish();
    }
  }

  private void finish() {
    if (result.isDone()) {
      return;
    }
    long now = elapsed();
    long unanswered =
        connections.stream()
            .filter(connection -> connection.isBusy() && counts(connection.dueNanos(), now))
            .count();
    double seconds = window.measured().toNanos() / 1e9;
    result.complete(tally.result(seconds, unanswered, cpuInWindow));
    closeAll();
  }

  private void closeAll() {
    List.copyOf(connections).forEach(LoadConnection::close);
  }

  private static long cpu() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }
}

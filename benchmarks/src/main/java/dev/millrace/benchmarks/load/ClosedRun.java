package dev.millrace.benchmarks.load;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.EventLoop;

/** Runs a {@link Load.ClosedLoop}; what is answered within the window counts. */
final class ClosedRun extends LoadRun {
  private final long thinkNanos;

  ClosedRun(
      EventLoop loop,
      Bootstrap bootstrap,
      LoadRequest request,
      Load.ClosedLoop load,
      LoadWindow window) {
    super(loop, bootstrap, request, load, window);
    this.thinkNanos = load.thinkTime().toNanos();
  }

  @Override
  void begin(Iterable<LoadConnection> connections) {
    connections.forEach(connection -> send(connection, elapsed()));
  }

  @Override
  void free(LoadConnection connection, long nowNanos) {
    if (isOver(nowNanos)) {
      return;
    }
    if (thinkNanos == 0) {
      send(connection, nowNanos);
    } else {
      at(nowNanos + thinkNanos, () -> ask(connection));
    }
  }

  private void ask(LoadConnection connection) {
    long now = elapsed();
    if (!isOver(now) && connection.isOpen()) {
      send(connection, now);
    }
  }

  @Override
  boolean isOver(long nowNanos) {
    return nowNanos >= window.endNanos();
  }

  @Override
  boolean counts(long dueNanos, long nowNanos) {
    return inWindow(nowNanos);
  }
}

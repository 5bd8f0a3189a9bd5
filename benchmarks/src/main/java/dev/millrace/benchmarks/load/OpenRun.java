package dev.millrace.benchmarks.load;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.EventLoop;
import java.util.ArrayDeque;
import java.util.Deque;

/** Runs a {@link Load.OpenLoop}; what was due within the window counts. */
final class OpenRun extends LoadRun {
  private final long[] schedule;
  private final Deque<LoadConnection> idle = new ArrayDeque<>();
  private int next;
  private boolean timed;
  private boolean starved;

  OpenRun(
      EventLoop loop,
      Bootstrap bootstrap,
      LoadRequest request,
      Load.OpenLoop load,
      LoadWindow window) {
    super(loop, bootstrap, request, load, window);
    this.schedule = load.arrivals().schedule(load.perSecond(), window.endNanos(), load.seed());
  }

  @Override
  void begin(Iterable<LoadConnection> connections) {
    connections.forEach(idle::push);
    sendDue();
  }

  @Override
  void free(LoadConnection connection, long nowNanos) {
    idle.push(connection);
    if (starved) {
      sendDue();
    }
  }

  private void sendDue() {
    long now = elapsed();
    while (next < schedule.length && schedule[next] <= now) {
      LoadConnection connection = idle.poll();
      if (connection == null) {
        starved = true;
        return;
      }
      if (connection.isOpen()) {
        long due = schedule[next++];
        if (inWindow(due)) {
          tally.sent(now - due, starved);
        }
        send(connection, due);
        now = elapsed();
      }
    }
    starved = false;
    if (next < schedule.length && !timed) {
      timed = true;
      at(
          schedule[next],
          () -> {
            timed = false;
            sendDue();
          });
    }
  }

  @Override
  boolean isOver(long nowNanos) {
    return next == schedule.length;
  }

  @Override
  boolean counts(long dueNanos, long nowNanos) {
    return inWindow(dueNanos);
  }
}

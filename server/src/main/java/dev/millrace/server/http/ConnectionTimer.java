package dev.millrace.server.http;

import io.netty.channel.Channel;
import io.netty.channel.ChannelOutboundBuffer;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Closes a connection that is idle, that does not bring its request to an end, or that does not
 * take its answer. Looks now and then, instead of setting a timer at each read: a time-out may come
 * up to half as late again.
 */
final class ConnectionTimer implements Runnable {
  /** How fast a body has to come, beyond the time that every request has. */
  private static final long BYTES_PER_SECOND = 64 << 10;

  private final HttpConnection connection;
  private final long idleNanos;
  private final long requestNanos;
  private final long writeNanos;
  private final long intervalNanos;
  private long lastActivity;
  private @Nullable Future<?> scheduled;

  // What was waiting to be written when something was last seen to have gone out.
  private long pendingBytes;
  private long progress;
  private long progressNanos;

  ConnectionTimer(HttpConnection connection, HttpConfig config) {
    this.connection = connection;
    this.idleNanos = config.idleTimeout().toNanos();
    this.requestNanos = config.requestTimeout().toNanos();
    this.writeNanos = config.writeTimeout().toNanos();
    this.intervalNanos = Math.min(idleNanos, Math.min(requestNanos, writeNanos)) / 2 + 1;
  }

  void start() {
    active();
    schedule();
  }

  private void schedule() {
    scheduled = connection.context().executor().schedule(this, intervalNanos, TimeUnit.NANOSECONDS);
  }

  void stop() {
    if (scheduled != null) {
      scheduled.cancel(false);
      scheduled = null;
    }
  }

  /** Something was read. */
  void active() {
    lastActivity = System.nanoTime();
  }

  @Override
  public void run() {
    Channel channel = connection.context().channel();
    if (!channel.isOpen()) {
      return;
    }
    long now = System.nanoTime();
    if (isStuck(channel, now) || isIdle(now)) {
      var _ = channel.close();
      return;
    }
    if (connection.receiver().isOverdue(now, requestNanos, BYTES_PER_SECOND)) {
      connection.receiver().timeOut();
    }
    schedule();
  }

  /** Whether there has been nothing to do for too long. */
  private boolean isIdle(long now) {
    if (!connection.receiver().isIdle() || !connection.responses().isEmpty() || pendingBytes > 0) {
      lastActivity = now;
    }
    return now - lastActivity > idleNanos;
  }

  /** Whether the client has taken nothing for too long, though there is something for it. */
  private boolean isStuck(Channel channel, long now) {
    ChannelOutboundBuffer buffer = channel.unsafe().outboundBuffer();
    long pending = buffer == null ? 0 : buffer.totalPendingWriteBytes();
    long written = buffer == null ? 0 : buffer.currentProgress();
    if (pending == 0 || pending != pendingBytes || written != progress) {
      pendingBytes = pending;
      progress = written;
      progressNanos = now;
      return false;
    }
    return now - progressNanos > writeNanos;
  }
}

package dev.millrace.server.llm;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.spi.UpstreamPolicy;
import dev.millrace.api.spi.UpstreamPolicy.Times;
import io.netty.channel.EventLoop;
import io.netty.util.concurrent.Future;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Watches the time limits of one request with one timer. Everything happens on the event loop.
 *
 * <p>Each limit runs from when it was last started, while the request {@linkplain Watched#isUnder
 * is under it}. To start a limit costs next to nothing, and the timer is not touched: it looks when
 * a limit could have been reached, and again later if none was.
 */
final class TimeLimits {
  /** What takes time; the one named first is told of if several are reached at once. */
  enum Limit {
    /** All of it. */
    TOTAL,
    /** To be let in. */
    QUEUE,
    /** Until the first token. */
    FIRST_TOKEN,
    /** Until the client is shown that it is not forgotten. */
    HEARTBEAT,
    /** Until the next token. */
    GAP
  }

  /** What is watched. */
  interface Watched {
    /** Whether the limit holds now. */
    boolean isUnder(Limit limit);

    /** A limit that holds was reached. */
    void reached(Limit limit, long now);
  }

  /** How long a limit is, and since when it runs. */
  private static final class Running {
    /** {@link Long#MAX_VALUE} for no limit. */
    private final long length;

    private long start;

    Running(Duration length, long start) {
      this.length = length.isZero() ? Long.MAX_VALUE : length.toNanos();
      this.start = start;
    }

    long left(long now) {
      return length == Long.MAX_VALUE ? length : length - (now - start);
    }
  }

  private final EventLoop loop;
  private final Watched watched;
  private final Map<Limit, Running> limits = new EnumMap<>(Limit.class);
  private @Nullable Future<?> timer;
  private long timerAt;
  private boolean isStopped;

  /** Limits that all start now. */
  TimeLimits(EventLoop loop, UpstreamPolicy policy, Watched watched) {
    this.loop = loop;
    this.watched = watched;
    Times times = policy.times();
    long now = System.nanoTime();
    limits.put(Limit.TOTAL, new Running(times.total(), now));
    limits.put(Limit.QUEUE, new Running(policy.limits().queueTime(), now));
    limits.put(Limit.FIRST_TOKEN, new Running(times.firstToken(), now));
    limits.put(Limit.HEARTBEAT, new Running(times.heartbeat(), now));
    limits.put(Limit.GAP, new Running(times.gap(), now));
  }

  private Running get(Limit limit) {
    return requireNonNull(limits.get(limit));
  }

  /** A limit runs from {@code now} on. */
  void start(Limit limit, long now) {
    get(limit).start = now;
  }

  /** When a limit was last started. */
  long startOf(Limit limit) {
    return get(limit).start;
  }

  /** How long a limit is. */
  long length(Limit limit) {
    return get(limit).length;
  }

  /** The same as people read it. */
  String text(Limit limit) {
    long millis = TimeUnit.NANOSECONDS.toMillis(length(limit));
    return millis % 1000 == 0 ? millis / 1000 + " s" : millis + " ms";
  }

  /** Sees to it that the next limit is not missed; to be called when another one holds. */
  void arm() {
    long now = System.nanoTime();
    long due = Long.MAX_VALUE;
    for (Map.Entry<Limit, Running> limit : limits.entrySet()) {
      if (watched.isUnder(limit.getKey())) {
        due = Math.min(due, limit.getValue().left(now));
      }
    }
    if (due == Long.MAX_VALUE || isStopped) {
      return;
    }
    due = Math.max(0, due);
    if (timer != null) {
      if (timerAt - (now + due) <= 0) {
        return;
      }
      timer.cancel(false);
    }
    timerAt = now + due;
    timer = loop.schedule(this::look, due, TimeUnit.NANOSECONDS);
  }

  private void look() {
    timer = null;
    if (isStopped) {
      return;
    }
    long now = System.nanoTime();
    for (Map.Entry<Limit, Running> limit : limits.entrySet()) {
      if (limit.getValue().left(now) <= 0 && watched.isUnder(limit.getKey())) {
        watched.reached(limit.getKey(), now);
        break;
      }
    }
    arm();
  }

  /** Watches no more. */
  void stop() {
    isStopped = true;
    if (timer != null) {
      timer.cancel(false);
      timer = null;
    }
  }
}

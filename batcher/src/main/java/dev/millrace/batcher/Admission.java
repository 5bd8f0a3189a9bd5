package dev.millrace.batcher;

import dev.millrace.api.Deadline;
import dev.millrace.batcher.policy.Forecast;

/**
 * Refuses early what could not be in time. Thread-safe; a lost update only makes an estimate a
 * little staler.
 *
 * <p>A request that waits behind the whole backlog waits as long as the forecast says. One in more
 * of a hurry than the others overtakes them: with half of their usual time, it is taken to have
 * half of the backlog before it. The forecast is trusted to a fifth, because a request that is let
 * in and turns out to be too late is given up later, while one that is refused here is lost.
 */
final class Admission {
  private static final double TRUST = 0.8;
  private static final int AVERAGED = 64;

  private final Dispatcher dispatcher;

  /** Average of the time that requests leave. */
  private long usualNanos = Request.PATIENCE_NANOS;

  Admission(Dispatcher dispatcher) {
    this.dispatcher = dispatcher;
  }

  /** Whether a request that comes now with this deadline would be too late. */
  boolean isHopeless(Deadline deadline, long nowNanos) {
    long left = Math.min(deadline.remaining(nowNanos), Request.PATIENCE_NANOS);
    long usual = usualNanos;
    usualNanos = usual + (left - usual) / AVERAGED;
    Forecast forecast = dispatcher.forecast();
    if (deadline.isNone() || forecast.runNanos() == 0) {
      return false;
    }
    double before = dispatcher.backlog().rows() * Math.min(1.0, (double) left / usual);
    double needed = TRUST * before * forecast.nanosPerRow() + forecast.runNanos();
    return needed > deadline.remaining(nowNanos);
  }
}

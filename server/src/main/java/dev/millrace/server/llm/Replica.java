package dev.millrace.server.llm;

import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamPolicy.Watch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One upstream of a model, as it is seen from here: how busy it is, and whether it is fit.
 * Thread-safe.
 *
 * <p>It is unfit while its health check fails, and for a while after several failures in a row;
 * then one request tries it, and decides whether it is back.
 */
final class Replica {
  private static final int MOST_DOUBLINGS = 4;

  private final Upstream upstream;
  private final Watch watch;
  private final AtomicInteger outstanding = new AtomicInteger();
  private final AtomicBoolean trial = new AtomicBoolean();

  // Under the monitor, but read without it.
  private volatile boolean ejected;
  private volatile long ejectedUntil;
  private int failures;
  private int ejections;

  private volatile boolean unhealthy;
  private volatile double waiting;
  private volatile double cacheUse;

  Replica(Upstream upstream, Watch watch) {
    this.upstream = upstream;
    this.watch = watch;
  }

  Upstream upstream() {
    return upstream;
  }

  int outstanding() {
    return outstanding.get();
  }

  /** How busy it is, for its weight; with one request more. */
  double load() {
    return (outstanding.get() + 1 + waiting) * (1 + cacheUse) / upstream.weight();
  }

  /** Whether it may get a request now. */
  boolean isFit(long now) {
    return !unhealthy && (!ejected || (now - ejectedUntil >= 0 && !trial.get()));
  }

  /** Whether it is out of service after failures. */
  boolean isEjected() {
    return ejected;
  }

  boolean isUnhealthy() {
    return unhealthy;
  }

  /** A request goes there; {@link #ended} follows. */
  void begin() {
    outstanding.incrementAndGet();
    if (ejected) {
      trial.set(true);
    }
  }

  /** A request has ended that {@link #begin} began, with or without a verdict before. */
  void ended() {
    outstanding.decrementAndGet();
    trial.set(false);
  }

  /** It has answered as it should. */
  void succeeded() {
    if (failures == 0 && !ejected) {
      return;
    }
    synchronized (this) {
      failures = 0;
      ejections = 0;
      ejected = false;
    }
  }

  /** It could not be reached, or did not answer as it should. */
  synchronized void failed(long now) {
    failures++;
    if (ejected ? now - ejectedUntil >= 0 : failures >= watch.failures()) {
      ejectedUntil = now + (watch.ejection().toNanos() << Math.min(ejections, MOST_DOUBLINGS));
      ejections++;
      ejected = true;
    }
  }

  /** What its health check says. */
  void setHealthy(boolean healthy) {
    unhealthy = !healthy;
  }

  /** What its metrics say: requests that wait, and how full its cache is, from 0 to 1. */
  void setLoad(double requestsWaiting, double cache) {
    waiting = requestsWaiting;
    cacheUse = cache;
  }
}

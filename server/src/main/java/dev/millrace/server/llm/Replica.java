package dev.millrace.server.llm;

import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamPolicy.Watch;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * One upstream of a model, as it is seen from here: how busy it is, and whether it is fit.
 * Thread-safe.
 *
 * <p>It is unfit while its health check fails, and for a while after several failures in a row;
 * then one request tries it, and decides whether it is back. How a request ends that began before
 * the replica was taken out of service says nothing of how it is now.
 */
final class Replica {
  private static final int MOST_DOUBLINGS = 4;

  /** The part of its share of the load that a replica has at once that is new or back. */
  private static final double FIRST_SHARE = 0.1;

  private final Upstream upstream;
  private final Watch watch;
  private final AtomicInteger outstanding = new AtomicInteger();

  /** The visit that tries whether it is back; null if none does. */
  private final AtomicReference<@Nullable Visit> trial = new AtomicReference<>();

  // Under the monitor, but read without it.
  private volatile boolean ejected;
  private volatile long ejectedUntil;

  /** How often it has been ejected. */
  private volatile int era;

  private int failures;
  private int ejections;

  private volatile boolean unhealthy;
  private volatile double waiting;
  private volatile double cacheUse;
  private volatile Set<String> adapters = Set.of();

  /** Since when it has been there, or been back. */
  private volatile long sinceNanos;

  /** A replica that is there from {@code now} on. */
  Replica(Upstream upstream, Watch watch, long now) {
    this.upstream = upstream;
    this.watch = watch;
    this.sinceNanos = now;
  }

  Upstream upstream() {
    return upstream;
  }

  int outstanding() {
    return outstanding.get();
  }

  /** How busy it is, for its weight and as long as it has been there; with one request more. */
  double load(long now) {
    return (outstanding.get() + 1 + waiting) * (1 + cacheUse) / (upstream.weight() * share(now));
  }

  /** The part of its share of the load that it may have by now. */
  private double share(long now) {
    long there = now - sinceNanos;
    long whole = watch.slowStart().toNanos();
    return there >= whole ? 1 : Math.max(FIRST_SHARE, (double) there / whole);
  }

  /** Whether it may get a request now. */
  boolean isFit(long now) {
    return !unhealthy && (!ejected || (now - ejectedUntil >= 0 && trial.get() == null));
  }

  /** Whether it is out of service after failures. */
  boolean isEjected() {
    return ejected;
  }

  boolean isUnhealthy() {
    return unhealthy;
  }

  /** A request goes there. */
  Visit begin(long now) {
    outstanding.incrementAndGet();
    Visit visit = new Visit(era);
    if (ejected && now - ejectedUntil >= 0) {
      trial.compareAndSet(null, visit);
    }
    return visit;
  }

  /** One request at the replica. */
  final class Visit {
    /** The era in which it began. */
    private final int since;

    private Visit(int since) {
      this.since = since;
    }

    Replica replica() {
      return Replica.this;
    }

    /** The replica has answered as it should. */
    void succeeded(long now) {
      if (failures > 0 || ejected) {
        readmit(since, now);
      }
    }

    /** The replica could not be reached, or did not answer as it should. */
    void failed(long now) {
      count(since, now);
    }

    /** It has ended, with or without a verdict before; called once. */
    void ended() {
      outstanding.decrementAndGet();
      trial.compareAndSet(this, null);
    }
  }

  private synchronized void readmit(int since, long now) {
    if (since == era) {
      sinceNanos = ejected ? now : sinceNanos;
      failures = 0;
      ejections = 0;
      ejected = false;
    }
  }

  /** Counts a failure of a visit. */
  private synchronized void count(int since, long now) {
    if (since != era) {
      return;
    }
    failures++;
    if (ejected ? now - ejectedUntil >= 0 : failures >= watch.failures()) {
      ejectedUntil = now + (watch.ejection().toNanos() << Math.min(ejections, MOST_DOUBLINGS));
      ejections++;
      ejected = true;
      era++;
      trial.set(null);
    }
  }

  /** What its health check says. */
  void setHealthy(boolean healthy, long now) {
    if (healthy && unhealthy) {
      sinceNanos = now;
    }
    unhealthy = !healthy;
  }

  /** What its metrics say: requests that wait, and how full its cache is, from 0 to 1. */
  void setLoad(double requestsWaiting, double cache) {
    waiting = requestsWaiting;
    cacheUse = cache;
  }

  /** What its list of models says: the names of the model's adapters. */
  void setAdapters(Set<String> names) {
    adapters = Set.copyOf(names);
  }

  /** The adapters that it lists. */
  Set<String> adapters() {
    return adapters;
  }
}

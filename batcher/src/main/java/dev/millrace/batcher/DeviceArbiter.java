package dev.millrace.batcher;

import static java.util.Objects.requireNonNull;

import dev.millrace.batcher.policy.FairShare;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Lets the models on one device take turns, so that each gets its share of the device's time.
 * Thread-safe.
 *
 * <p>A runner takes a place before it decides what to run, so its batch grows while it waits. While
 * only one model uses the device it runs as it likes, without a lock.
 */
public final class DeviceArbiter {
  private final int places;
  private final ReentrantLock lock = new ReentrantLock();
  private final FairShare shares = new FairShare();
  private final Map<FairShare.Tenant, Share> members = new HashMap<>();
  private int free;
  private volatile boolean shared;

  /**
   * @param places how many threads of runs the device has room for: the processors of a CPU, 1 for a
   *     device that runs one batch at a time
   */
  public DeviceArbiter(int places) {
    if (places < 1) {
      throw new IllegalArgumentException("a device needs places: " + places);
    }
    this.places = places;
    this.free = places;
  }

  /**
   * A model's right to use the device, until it is closed.
   *
   * @param weight of its share: 2 gets twice as much as 1 while both have requests
   * @param threads places that one run of it takes
   */
  public Share join(double weight, int threads) {
    lock.lock();
    try {
      FairShare.Tenant tenant = shares.join(weight);
      Share share = new Share(tenant, Math.min(threads, places));
      members.put(tenant, share);
      shared = members.size() > 1;
      return share;
    } finally {
      lock.unlock();
    }
  }

  /** A thread that waits for a place. */
  private static final class Waiter {
    private final Thread thread = Thread.currentThread();
    private double chargedNanos;
    private volatile boolean admitted;
  }

  /** One model's use of the device. */
  public final class Share implements AutoCloseable {
    private final FairShare.Tenant tenant;
    private final int threads;
    private final ArrayDeque<Waiter> waiters = new ArrayDeque<>();

    private Share(FairShare.Tenant tenant, int threads) {
      this.tenant = tenant;
      this.threads = threads;
    }

    /** Device time that the model's runs took while it shared the device, in nanoseconds. */
    public long usedNanos() {
      lock.lock();
      try {
        return tenant.usedNanos();
      } finally {
        lock.unlock();
      }
    }

    /** Whether runs have to take a place: other models use the device too. */
    boolean isContended() {
      return shared;
    }

    /** Takes a place for one run, if it is free and nobody has a better right to it. */
    boolean tryEnter(Place place) {
      lock.lock();
      try {
        if (free < threads || shares.next() != null) {
          return false;
        }
        shares.await(tenant);
        place.chargedNanos = shares.started(tenant);
        place.held = true;
        free -= threads;
        return true;
      } finally {
        lock.unlock();
      }
    }

    /** Takes a place for one run; waits for its turn. Not interruptible. */
    void enter(Place place) {
      Waiter waiter = new Waiter();
      lock.lock();
      try {
        shares.await(tenant);
        waiters.add(waiter);
        admit();
      } finally {
        lock.unlock();
      }
      while (!waiter.admitted) {
        LockSupport.park(DeviceArbiter.this);
      }
      place.chargedNanos = waiter.chargedNanos;
      place.held = true;
    }

    /** Gives a place back after a run that took so long; 0 if nothing was run. */
    void leave(Place place, long nanos) {
      place.held = false;
      lock.lock();
      try {
        free += threads;
        shares.ended(tenant, place.chargedNanos, nanos * threads);
        admit();
      } finally {
        lock.unlock();
      }
    }

    /** The model is unloaded: no run of it is under way or will come. */
    @Override
    public void close() {
      lock.lock();
      try {
        shares.leave(tenant);
        members.remove(tenant);
        shared = members.size() > 1;
        admit();
      } finally {
        lock.unlock();
      }
    }
  }

  /** Lets in whoever is next, as long as there is room; under the lock. */
  private void admit() {
    for (FairShare.Tenant next = shares.next(); next != null; next = shares.next()) {
      Share share = requireNonNull(members.get(next));
      if (free < share.threads) {
        return;
      }
      Waiter waiter = share.waiters.remove();
      free -= share.threads;
      waiter.chargedNanos = shares.started(next);
      waiter.admitted = true;
      LockSupport.unpark(waiter.thread);
    }
  }

  /** A runner's place on the device; used by one thread. */
  static final class Place {
    private boolean held;
    private double chargedNanos;

    boolean isHeld() {
      return held;
    }
  }
}

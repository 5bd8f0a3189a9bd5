package dev.millrace.batcher;

import static java.util.Objects.requireNonNull;

import dev.millrace.batcher.policy.FairShare;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

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
   * @param places how many threads of runs the device has room for: the processors of a CPU, 1 for
   *     a device that runs one batch at a time
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

  /**
   * A runner's place on the device, or its wait for one. Used by the runner's thread, and by
   * whoever lets it in.
   */
  static final class Place {
    private @Nullable Thread thread;
    private volatile boolean held;
    private double chargedNanos;
    private long usedNanos;

    boolean isHeld() {
      return held;
    }

    /** Whether it is held and nothing has run in it yet. */
    boolean isFresh() {
      return held && usedNanos == 0;
    }

    /** A run in it took so long. */
    void used(long nanos) {
      usedNanos = nanos;
    }
  }

  /** One model's use of the device. */
  public final class Share implements AutoCloseable {
    private final FairShare.Tenant tenant;
    private final int threads;
    private final ArrayDeque<Place> waiters = new ArrayDeque<>();

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

    /**
     * Asks for a place for one run, in exchange for the one that a run has just used: a model that
     * has more to run is then in line with those that wait, and not behind them.
     *
     * @return whether it is there; else {@link #await} waits for it
     */
    boolean ask(Place place) {
      lock.lock();
      try {
        giveBack(place);
        place.thread = Thread.currentThread();
        shares.await(tenant);
        waiters.add(place);
        admit();
      } finally {
        lock.unlock();
      }
      return place.held;
    }

    /** Waits for the place that was asked for. Not interruptible. */
    void await(Place place) {
      while (!place.held) {
        LockSupport.park(DeviceArbiter.this);
        boolean _ = Thread.interrupted();
      }
    }

    /** Gives a place back, if it is held, and asks for none. */
    void leave(Place place) {
      lock.lock();
      try {
        giveBack(place);
        admit();
      } finally {
        lock.unlock();
      }
    }

    private void giveBack(Place place) {
      if (place.held) {
        free += threads;
        shares.ended(tenant, place.chargedNanos, place.usedNanos * threads);
        place.usedNanos = 0;
        place.held = false;
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
      Place place = share.waiters.remove();
      free -= share.threads;
      place.chargedNanos = shares.started(next);
      place.held = true;
      if (place.thread != Thread.currentThread()) {
        LockSupport.unpark(place.thread);
      }
    }
  }
}

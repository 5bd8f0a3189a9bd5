package dev.millrace.batcher;

import dev.millrace.api.Ticker;
import dev.millrace.batcher.BatchRunner.Mode;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The runners of a model: how they park and how they are woken. Whoever changes a runner's mode
 * from one in which it parks, by compare-and-set, is the one who wakes it.
 *
 * <p>Waking is for any thread. Parking is for the runner itself, under the dispatcher's lock, which
 * is free while it parks.
 */
final class Runners {
  private final ReentrantLock lock;
  private final Ticker ticker;
  private final List<BatchRunner> all = new CopyOnWriteArrayList<>();
  private final AtomicInteger idle = new AtomicInteger();

  Runners(ReentrantLock lock, Ticker ticker) {
    this.lock = lock;
    this.ticker = ticker;
  }

  void add(BatchRunner runner) {
    all.add(runner);
  }

  /** All of them, also those that were lost. */
  List<BatchRunner> all() {
    return all;
  }

  /** How many are idle. */
  int idle() {
    return idle.get();
  }

  /** Puts a runner into a mode in which it will park unless it is woken before. */
  void settle(BatchRunner runner, Mode mode) {
    runner.mode.set(mode);
    if (mode == Mode.IDLE) {
      idle.incrementAndGet();
    }
  }

  /** Waits until the runner leaves the mode, or until that time. */
  void park(BatchRunner runner, Mode mode, long untilNanos) {
    lock.unlock();
    try {
      while (runner.mode.get() == mode) {
        if (untilNanos == Long.MAX_VALUE) {
          LockSupport.park(this);
        } else {
          long left = untilNanos - ticker.nanos();
          if (left <= 0) {
            return;
          }
          LockSupport.parkNanos(this, left);
        }
        boolean _ = Thread.interrupted(); // nobody does that on purpose, and parking would not wait
      }
    } finally {
      lock.lock();
    }
  }

  /** Sets a runner to work if it is in that mode. */
  boolean wake(BatchRunner runner, Mode from) {
    if (runner.mode.get() != from || !runner.mode.compareAndSet(from, Mode.WORKING)) {
      return false;
    }
    if (from == Mode.IDLE) {
      idle.decrementAndGet();
    }
    LockSupport.unpark(runner.thread());
    return true;
  }

  /** Sets one idle runner to work; false if there is none. */
  boolean wakeIdle() {
    return idle.get() > 0 && wakeOne(Mode.IDLE);
  }

  /** Sets one idle runner of another group to work; false if there is none. */
  boolean wakeIdleBeside(RunnerGroup group) {
    if (idle.get() > 0) {
      for (BatchRunner runner : all) {
        if (!runner.group().equals(group) && wake(runner, Mode.IDLE)) {
          return true;
        }
      }
    }
    return false;
  }

  /** Sets one runner to work that rests in that mode; false if there is none. */
  boolean wakeOne(Mode mode) {
    for (BatchRunner runner : all) {
      if (wake(runner, mode)) {
        return true;
      }
    }
    return false;
  }

  void wakeAll() {
    for (BatchRunner runner : all) {
      for (Mode mode : Mode.values()) {
        if (mode != Mode.WORKING) {
          boolean _ = wake(runner, mode);
        }
      }
    }
  }
}

package dev.millrace.batcher;

import dev.millrace.api.Deadline;
import dev.millrace.api.Ticker;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Answers requests at their deadlines, also while every runner is busy.
 *
 * <p>The thread starts with the first deadline and sleeps until the earliest one that it knew when
 * it fell asleep; a request with an earlier one wakes it. It is not told of requests that are done,
 * nor of later deadlines: with the usual time-out that is the same for all, it wakes once a
 * time-out and a submission wakes it as rarely.
 *
 * <p>The heap is guarded by the batcher's lock. Who submits takes no lock: the thread publishes
 * when it will wake, then takes in once more what was submitted until then.
 */
final class DeadlineTimer implements AutoCloseable {
  private final String name;
  private final ReentrantLock lock;
  private final Ticker ticker;
  private final Dispatcher dispatcher;
  private final DeadlineHeap heap = new DeadlineHeap();
  private volatile @Nullable Thread thread;
  private volatile boolean closed;

  /** Whether the thread sleeps without an end. */
  private volatile boolean resting = true;

  /** When the thread wakes by itself, unless it is resting. */
  private volatile long wakeNanos;

  DeadlineTimer(Dispatcher dispatcher, String name, ReentrantLock lock, Ticker ticker) {
    this.name = name;
    this.lock = lock;
    this.ticker = ticker;
    this.dispatcher = dispatcher;
  }

  /** A request with this deadline was submitted; by any thread, after it can be taken in. */
  void expect(Deadline deadline) {
    Thread sleeper = thread;
    if (sleeper == null) {
      start();
    } else if (resting || deadline.nanos() - wakeNanos < 0) {
      resting = false;
      wakeNanos = deadline.nanos();
      LockSupport.unpark(sleeper);
    }
  }

  private synchronized void start() {
    if (thread == null && !closed) {
      thread = Thread.ofPlatform().name(name + "-deadlines").daemon().start(this::run);
    }
  }

  /** The deadlines of what was taken in; to be used under the lock. */
  DeadlineHeap heap() {
    return heap;
  }

  private void run() {
    while (!closed) {
      expire();
      if (sleepUntilEarliest()) {
        LockSupport.park(this);
      } else if (!closed) {
        LockSupport.parkNanos(this, wakeNanos - ticker.nanos());
      }
    }
  }

  /** Publishes when this wakes next; whether it rests until it is told. */
  private boolean sleepUntilEarliest() {
    lock.lock();
    try {
      Request earliest;
      do {
        earliest = heap.peek();
        wakeNanos = earliest == null ? 0 : earliest.deadline.nanos();
        resting = earliest == null;
        dispatcher.takeIn();
      } while (heap.peek() != earliest);
      return earliest == null;
    } finally {
      lock.unlock();
    }
  }

  /** Answers the requests that are late now. */
  void expire() {
    List<Request> late = new ArrayList<>();
    lock.lock();
    try {
      dispatcher.takeIn();
      long now = ticker.nanos();
      for (Request request = heap.peek();
          request != null && request.deadline.isExpired(now);
          request = heap.peek()) {
        heap.remove(request);
        late.add(request);
      }
    } finally {
      lock.unlock();
    }
    late.forEach(dispatcher::expire);
  }

  boolean isCurrentThread() {
    return Thread.currentThread() == thread;
  }

  /** Ends the thread; returns when it has ended. */
  @Override
  public void close() {
    Thread ending;
    synchronized (this) {
      closed = true;
      ending = thread;
    }
    if (ending != null) {
      LockSupport.unpark(ending);
      Batcher.join(ending);
    }
  }
}

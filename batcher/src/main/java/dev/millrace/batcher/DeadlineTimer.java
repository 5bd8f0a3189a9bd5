package dev.millrace.batcher;

import dev.millrace.api.Ticker;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Answers requests at their deadlines, also while every runner is busy. Its state is guarded by the
 * batcher's lock.
 *
 * <p>The thread starts with the first deadline and sleeps until the earliest one that it knew when
 * it fell asleep. It is not told of requests that are done, nor of later deadlines: with the usual
 * time-out that is the same for all, it wakes once a time-out and a submission wakes it as rarely.
 */
final class DeadlineTimer implements AutoCloseable {
  private final String name;
  private final ReentrantLock lock;
  private final Condition wake;
  private final RequestQueue queue;
  private final Ticker ticker;
  private final Dispatcher dispatcher;
  private final DeadlineHeap heap = new DeadlineHeap();
  private @Nullable Thread thread;
  private boolean closed;

  /** Whether the thread sleeps without an end. */
  private boolean resting;

  /** When the thread wakes by itself, unless it is resting. */
  private long wakeNanos;

  DeadlineTimer(
      Dispatcher dispatcher, String name, ReentrantLock lock, RequestQueue queue, Ticker ticker) {
    this.name = name;
    this.lock = lock;
    this.wake = lock.newCondition();
    this.queue = queue;
    this.ticker = ticker;
    this.dispatcher = dispatcher;
  }

  /** Under the lock. */
  void add(Request request) {
    heap.add(request);
    if (thread == null) {
      resting = true;
      thread = Thread.ofPlatform().name(name + "-deadlines").daemon().start(this::run);
    } else if (resting || request.deadline.nanos() - wakeNanos < 0) {
      wake.signal();
    }
  }

  /** Under the lock; does nothing if the request has no deadline or was removed. */
  void remove(Request request) {
    heap.remove(request);
  }

  private void run() {
    while (true) {
      expire();
      lock.lock();
      try {
        if (closed) {
          return;
        }
        Request earliest = heap.peek();
        if (earliest == null) {
          resting = true;
          wake.awaitUninterruptibly();
        } else {
          wakeNanos = earliest.deadline.nanos();
          Dispatcher.await(wake, earliest.deadline.remaining(ticker.nanos()));
        }
        resting = false;
      } finally {
        lock.unlock();
      }
    }
  }

  /** Answers the requests that are late now. */
  void expire() {
    List<Request> waiting = new ArrayList<>();
    List<Request> running = new ArrayList<>();
    lock.lock();
    try {
      long now = ticker.nanos();
      for (Request late = heap.peek();
          late != null && late.deadline.isExpired(now);
          late = heap.peek()) {
        heap.remove(late);
        if (queue.remove(late)) {
          waiting.add(late);
        } else {
          running.add(late);
        }
      }
    } finally {
      lock.unlock();
    }
    waiting.forEach(dispatcher::answerDropped);
    running.forEach(dispatcher::answerLate);
  }

  boolean isCurrentThread() {
    lock.lock();
    try {
      return Thread.currentThread() == thread;
    } finally {
      lock.unlock();
    }
  }

  /** Ends the thread; returns when it has ended. */
  @Override
  public void close() {
    Thread ending;
    lock.lock();
    try {
      closed = true;
      ending = thread;
      wake.signal();
    } finally {
      lock.unlock();
    }
    if (ending != null) {
      Batcher.join(ending);
    }
  }
}

package dev.millrace.batcher;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Counts what waits and keeps it within the bounds of the queue. Thread-safe, and no caller waits
 * for another.
 *
 * <p>Counted is what was accepted and neither taken by a runner nor dropped, wherever it is: a
 * request that is given up makes room at once, though it is unlinked later.
 */
final class Backlog {
  private final int maxRequests;
  private final long maxBytes;
  private final AtomicInteger requests = new AtomicInteger();
  private final AtomicLong rows = new AtomicLong();
  private final AtomicLong bytes = new AtomicLong();

  /** The most of each priority, and how many there are; empty if no priority has a bound. */
  private final int[] maxOfPriority;

  private final AtomicIntegerArray ofPriority;

  Backlog(BatcherConfig config) {
    this.maxRequests = config.queueLimit();
    this.maxBytes = config.queueBytes();
    int bounded = config.priorityLimits().keySet().stream().mapToInt(p -> p + 1).max().orElse(0);
    this.maxOfPriority = new int[bounded];
    this.ofPriority = new AtomicIntegerArray(bounded);
    for (int priority = 0; priority < bounded; priority++) {
      maxOfPriority[priority] = config.priorityLimits().getOrDefault(priority, Integer.MAX_VALUE);
    }
  }

  /**
   * Makes room for a request, or returns false. One that is larger than the bound in bytes fits
   * while no other waits.
   */
  boolean reserve(Request request) {
    if (requests.incrementAndGet() > maxRequests) {
      requests.decrementAndGet();
      return false;
    }
    if (!reservePriority(request.priority)) {
      requests.decrementAndGet();
      return false;
    }
    long all = bytes.addAndGet(request.bytes);
    if (all > maxBytes && all > request.bytes) {
      bytes.addAndGet(-request.bytes);
      releasePriority(request.priority);
      requests.decrementAndGet();
      return false;
    }
    rows.addAndGet(request.waitingRows());
    return true;
  }

  private boolean reservePriority(int priority) {
    if (priority < maxOfPriority.length
        && ofPriority.incrementAndGet(priority) > maxOfPriority[priority]) {
      ofPriority.decrementAndGet(priority);
      return false;
    }
    return true;
  }

  private void releasePriority(int priority) {
    if (priority < maxOfPriority.length) {
      ofPriority.decrementAndGet(priority);
    }
  }

  /** Some rows of a request were taken, but not yet all. */
  void releaseRows(int count) {
    rows.addAndGet(-count);
  }

  /** A request waits no longer; {@code rowsLeft} of its rows were counted until now. */
  void release(Request request, int rowsLeft) {
    rows.addAndGet(-rowsLeft);
    bytes.addAndGet(-request.bytes);
    releasePriority(request.priority);
    requests.decrementAndGet();
  }

  boolean isEmpty() {
    return requests.get() == 0;
  }

  int requests() {
    return requests.get();
  }

  int rows() {
    return Math.clamp(rows.get(), 0, Integer.MAX_VALUE);
  }

  long bytes() {
    return bytes.get();
  }
}

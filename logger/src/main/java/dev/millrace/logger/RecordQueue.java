package dev.millrace.logger;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The hand-off from the threads that serve to the one that encodes, bounded in bytes. Those that
 * serve never wait, and wake the encoder only if it has been idle for a while: a busy one looks by
 * itself every few milliseconds.
 */
final class RecordQueue {
  private static final long GLANCE = 2_000_000;
  private static final int GLANCES = 500;

  private final long capacity;
  private final Queue<CapturedRecord> records = new ConcurrentLinkedQueue<>();
  private final AtomicLong bytes = new AtomicLong();
  private volatile @Nullable Thread sleeper;
  private volatile boolean closed;

  RecordQueue(long capacity) {
    this.capacity = capacity;
  }

  /** Sets room aside; false if there is none. A record may take more than all if it is alone. */
  boolean reserve(long size) {
    long before = bytes.getAndAdd(size);
    if (before > 0 && before + size > capacity) {
      bytes.addAndGet(-size);
      return false;
    }
    return true;
  }

  /** Sets room aside, whether there is any or not. */
  void reserveAnyway(long size) {
    bytes.addAndGet(size);
  }

  /** Gives room back. */
  void release(long size) {
    bytes.addAndGet(-size);
  }

  boolean hasRoom() {
    return bytes.get() < capacity;
  }

  long byteSize() {
    return bytes.get();
  }

  /** Leaves a record, for which room is set aside; false if the queue is closed. */
  boolean add(CapturedRecord record) {
    if (closed) {
      return false;
    }
    records.add(record);
    Thread waiting = sleeper;
    if (waiting != null) {
      sleeper = null;
      LockSupport.unpark(waiting);
    }
    return true;
  }

  /** The next record, for the one thread that encodes; null if there is none. */
  @Nullable CapturedRecord poll() {
    return records.poll();
  }

  /** When the oldest record is of, in milliseconds since 1970; 0 if there is none. */
  long oldestMillis() {
    CapturedRecord first = records.peek();
    return first == null ? 0 : first.time().toEpochMilli();
  }

  /**
   * Waits until there may be a record or the queue is closed.
   *
   * @throws InterruptedException if the thread is interrupted
   */
  void await() throws InterruptedException {
    for (int i = 0; records.isEmpty() && !closed; i++) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      if (i < GLANCES) {
        LockSupport.parkNanos(this, GLANCE);
        continue;
      }
      sleeper = Thread.currentThread();
      if (records.isEmpty() && !closed) {
        LockSupport.park(this);
      }
      sleeper = null;
    }
  }

  boolean isClosed() {
    return closed;
  }

  /** Takes nothing more. */
  void close() {
    closed = true;
    Thread waiting = sleeper;
    if (waiting != null) {
      LockSupport.unpark(waiting);
    }
  }
}

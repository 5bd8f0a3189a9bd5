package dev.millrace.logger;

import java.time.Duration;
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
  /** Bytes of records that are encoded before their messages are handed over. */
  static final long AT_ONCE = 64L << 10;

  private static final long GLANCE = 2_000_000;
  private static final int GLANCES = 500;

  private final long capacity;
  private final Queue<CapturedRecord> records = new ConcurrentLinkedQueue<>();
  private final AtomicLong bytes = new AtomicLong();
  private volatile @Nullable Thread sleeper;
  private volatile boolean closed;

  /** In vain, since there was a record; for the thread that encodes. */
  private int glances;

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

  boolean isEmpty() {
    return records.isEmpty();
  }

  /**
   * Waits until there may be a record, the queue is closed, or that time is over.
   *
   * @throws InterruptedException if the thread is interrupted
   */
  void await(Duration most) throws InterruptedException {
    long end = System.nanoTime() + most.toNanos();
    for (long left = most.toNanos();
        records.isEmpty() && !closed && left > 0;
        left = end - System.nanoTime()) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      if (glances < GLANCES) {
        glances++;
        LockSupport.parkNanos(this, Math.min(left, GLANCE));
        continue;
      }
      sleeper = Thread.currentThread();
      if (records.isEmpty() && !closed) {
        LockSupport.parkNanos(this, left);
      }
      sleeper = null;
    }
    if (!records.isEmpty()) {
      glances = 0;
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

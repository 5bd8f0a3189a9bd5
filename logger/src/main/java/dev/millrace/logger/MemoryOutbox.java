package dev.millrace.logger;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/** An outbox in memory, bounded in bytes: a put waits for room. Thread-safe. */
final class MemoryOutbox implements Outbox {
  private final long capacity;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  /** Put and not removed; those that are taken stand first. */
  private final Deque<Entry> entries = new ArrayDeque<>();

  private final Deque<Entry> untaken = new ArrayDeque<>();
  private long bytes;
  private long nextPosition;
  private boolean waits = true;

  MemoryOutbox(long capacity) {
    this.capacity = capacity;
  }

  @Override
  public boolean put(LogMessage message, boolean force) throws InterruptedException {
    long size = message.byteSize();
    lock.lockInterruptibly();
    try {
      // A message that is larger than all the room may come when it is alone.
      while (waits && bytes > 0 && bytes + size > capacity) {
        changed.await();
      }
      Entry entry = new Entry(message, nextPosition++, size);
      entries.addLast(entry);
      untaken.addLast(entry);
      bytes += size;
      changed.signalAll();
      return true;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public @Nullable Entry take(Duration patience) throws InterruptedException {
    long left = patience.toNanos();
    lock.lockInterruptibly();
    try {
      while (untaken.isEmpty() && left > 0) {
        left = changed.awaitNanos(left);
      }
      return untaken.pollFirst();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void removeThrough(Entry last) {
    lock.lock();
    try {
      for (Entry first = entries.peekFirst();
          first != null && first.position() <= last.position();
          first = entries.peekFirst()) {
        bytes -= first.byteSize();
        entries.pollFirst();
      }
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** What is put and not removed. */
  List<LogMessage> messages() {
    lock.lock();
    try {
      return entries.stream().map(Entry::message).toList();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean hasRoom() {
    lock.lock();
    try {
      return bytes < capacity;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public long byteSize() {
    lock.lock();
    try {
      return bytes;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean isOnDisk() {
    return false;
  }

  @Override
  public long oldestMillis() {
    lock.lock();
    try {
      Entry first = entries.peekFirst();
      return first == null ? 0 : first.message().timeMillis();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void stopWaiting() {
    lock.lock();
    try {
      waits = false;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() {
    stopWaiting();
  }
}

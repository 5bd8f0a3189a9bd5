package dev.millrace.logger;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * An outbox in memory, bounded in bytes: records are encoded as they are taken, by the thread that
 * sends, which has them at hand then. While there is no room, they stay in their queue.
 */
final class MemoryOutbox implements Outbox {
  private static final Duration GLANCE = Duration.ofMillis(2);

  private final RecordQueue queue;
  private final Function<CapturedRecord, @Nullable LogMessage> encoder;
  private final long capacity;
  private final AtomicLong bytes = new AtomicLong();

  /** Taken and not removed; under this object's monitor. */
  private final Deque<Entry> entries = new ArrayDeque<>();

  private long nextPosition;

  /**
   * @param queue where records come from
   * @param encoder makes messages of records, which it closes; for the thread that takes
   */
  MemoryOutbox(
      RecordQueue queue, Function<CapturedRecord, @Nullable LogMessage> encoder, long capacity) {
    this.queue = queue;
    this.encoder = encoder;
    this.capacity = capacity;
  }

  @Override
  public List<Entry> take(Duration patience) throws InterruptedException {
    if (!hasRoom() || (queue.isClosed() && queue.isEmpty())) {
      TimeUnit.NANOSECONDS.sleep(Math.min(patience.toNanos(), GLANCE.toNanos()));
      return List.of();
    }
    queue.await(patience);
    List<Entry> taken = new ArrayList<>();
    long left = capacity - bytes.get();
    long size = 0;
    long cost = 0;
    while (size < left && cost < RecordQueue.AT_ONCE) {
      CapturedRecord record = queue.poll();
      if (record == null) {
        break;
      }
      cost += record.cost();
      LogMessage message = encoder.apply(record);
      if (message != null) {
        Entry entry = new Entry(message, nextPosition++, message.byteSize());
        taken.add(entry);
        size += entry.byteSize();
      }
    }
    synchronized (this) {
      entries.addAll(taken);
    }
    bytes.addAndGet(size);
    queue.release(cost); // only now, so that nothing is out of sight in between
    return taken;
  }

  @Override
  public synchronized void removeThrough(Entry last) {
    long removed = 0;
    for (Entry first = entries.peekFirst();
        first != null && first.position() <= last.position();
        first = entries.peekFirst()) {
      removed += first.byteSize();
      entries.pollFirst();
    }
    bytes.addAndGet(-removed);
  }

  /** What is not removed. */
  synchronized List<LogMessage> messages() {
    return entries.stream().map(Entry::message).toList();
  }

  @Override
  public boolean hasRoom() {
    return bytes.get() < capacity;
  }

  @Override
  public long byteSize() {
    return bytes.get();
  }

  @Override
  public boolean isOnDisk() {
    return false;
  }

  @Override
  public synchronized long oldestMillis() {
    Entry first = entries.peekFirst();
    return first == null ? 0 : first.message().timeMillis();
  }

  @Override
  public void close() {}
}

package dev.millrace.logger;

import java.time.Duration;
import java.util.List;

/** What the sender takes messages from, and later removes them. Order is kept. */
interface Outbox extends AutoCloseable {
  /** A message, and where it stands. */
  record Entry(LogMessage message, long position, long byteSize) {}

  /** Takes the next messages in order, which stay until they are removed; none if none comes. */
  List<Entry> take(Duration patience) throws InterruptedException;

  /** Forgets all messages up to this one, which were taken. Any thread. */
  void removeThrough(Entry entry);

  /** Called by the taking thread now and then. */
  default void tidy() {}

  /** Whether there is room for more. */
  boolean hasRoom();

  /** Bytes that are in this outbox and not removed. */
  long byteSize();

  /** Whether {@link #byteSize} is on disk. */
  boolean isOnDisk();

  /** When the oldest message that is not removed happened; 0 if there is none. */
  long oldestMillis();

  /** Ends; what is on the disk stays there. */
  @Override
  void close();
}

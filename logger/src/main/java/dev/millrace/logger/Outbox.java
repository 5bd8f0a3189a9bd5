package dev.millrace.logger;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * What waits between the encoder, which puts, and the sender, which takes and later removes. Order
 * is kept.
 */
interface Outbox extends AutoCloseable {
  /** A message, and where it stands. */
  record Entry(LogMessage message, long position, long byteSize) {}

  /**
   * Puts a message at the end; waits if this outbox waits for room.
   *
   * @param force whether it is kept even if there is no room, because nothing else may become of it
   * @return whether it is kept
   */
  boolean put(LogMessage message, boolean force) throws InterruptedException;

  /** Called by the putting thread when nothing more is to be put for now. */
  default void flush() {}

  /** Takes the next message in order, which stays until it is removed; null if none comes. */
  @Nullable Entry take(Duration patience) throws InterruptedException;

  /** Forgets all messages up to {@code position}, which were taken. Any thread. */
  void removeThrough(Entry entry);

  /** Called by the taking thread now and then. */
  default void tidy() {}

  /** Whether there is room for more. */
  boolean hasRoom();

  /** Bytes that are put and not removed. */
  long byteSize();

  /** Whether {@link #byteSize} is on disk. */
  boolean isOnDisk();

  /** When the oldest message that is not removed happened; 0 if there is none. */
  long oldestMillis();

  /** From now on nothing waits for room. */
  default void stopWaiting() {}

  /** Ends; what is on the disk stays there. */
  @Override
  void close();
}

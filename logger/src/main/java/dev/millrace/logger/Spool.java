package dev.millrace.logger;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.LogListener;
import dev.millrace.api.spi.LogListener.DropReason;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An outbox on local disk, for one process at a time: messages are appended to files, read back in
 * order, and their files deleted once all in them is removed. Survives the end of the process,
 * however it comes; what of it survives the end of the machine, {@code sync} decides.
 *
 * <p>A position is the number of bytes ever written before it. A file is named for the position of
 * its first byte, and a new one is begun at every start, so nothing is ever written over. How far
 * messages are removed stands in the file {@code cursor}, which is some time behind: after a crash,
 * the last ones are sent again.
 *
 * <p>A frame that is not what was written is logged, counted as dropped, and passed over: reading
 * goes on at the next one that is whole. See {@link Frames}.
 *
 * <p>One thread puts, another takes and tidies, any remove.
 */
final class Spool implements Outbox {
  private static final Logger LOG = LoggerFactory.getLogger(Spool.class);
  private static final String SUFFIX = ".spool";
  private static final long LARGEST_SEGMENT = 16L << 20;

  /** So much is not kept in memory longer, however much more comes. */
  private static final int LARGEST_CHUNK = 64 << 10;

  /** So much is taken at once, about. */
  private static final long TAKEN_BYTES = 256L << 10;

  private static final long CURSOR_NANOS = Duration.ofMillis(200).toNanos();
  private static final long FAILED_NANOS = Duration.ofSeconds(1).toNanos();

  /**
   * When what was written is forced to the device.
   *
   * @param period zero: after all that came at once, before any of it is sent; negative: never
   */
  record Sync(Duration period) {
    static final Sync ALWAYS = new Sync(Duration.ZERO);
    static final Sync NEVER = new Sync(Duration.ofNanos(-1));
  }

  private final Path directory;
  private final long capacity;
  private final long segmentSize;
  private final long chunkSize;
  private final Sync sync;
  private final LogListener listener;
  private final FileChannel lockFile;
  private final SpoolCursor cursor;

  /** Files by the position of their first byte. */
  private final ConcurrentSkipListMap<Long, Path> segments = new ConcurrentSkipListMap<>();

  private final AtomicLong onDisk = new AtomicLong();
  private final AtomicLong removed = new AtomicLong();

  /** Before this position everything may be read. */
  private volatile long readable;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition hasMore = lock.newCondition();

  // For the thread that puts.
  private final ByteArrayOutputStream chunk = new ByteArrayOutputStream(LARGEST_CHUNK);
  private final List<LogMessage> inChunk = new ArrayList<>();
  private final List<Integer> endsInChunk = new ArrayList<>();
  private volatile @Nullable FileChannel tail;
  private long tailStart;
  private long written;
  private long syncedNanos = System.nanoTime();
  private volatile long failedNanos = System.nanoTime() - FAILED_NANOS;

  // For the thread that takes.
  private @Nullable Frames head;
  private long headStart;
  private long readPosition;
  private long cursorNanos = System.nanoTime();

  /** The time of the oldest message that may still be here; of what was taken last. */
  private volatile long oldestMillis;

  /**
   * Opens the spool of a directory, which is made if it is not there.
   *
   * @param capacity bytes of all files together, about
   * @throws InferenceException FAILED_PRECONDITION if the directory cannot be used
   */
  Spool(Path directory, long capacity, Sync sync, LogListener listener) {
    this.directory = directory;
    this.capacity = capacity;
    this.segmentSize = Math.max(4096, Math.min(LARGEST_SEGMENT, capacity / 8));
    this.chunkSize = Math.min(LARGEST_CHUNK, segmentSize / 4);
    this.sync = sync;
    this.listener = listener;
    FileChannel locked = null;
    try {
      Files.createDirectories(directory);
      locked =
          FileChannel.open(
              directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      if (locked.tryLock() == null) {
        throw new OverlappingFileLockException();
      }
      this.lockFile = locked;
      this.cursor = SpoolCursor.open(directory.resolve("cursor"));
      findSegments();
    } catch (IOException e) {
      close(locked);
      throw unusable(e.toString(), e);
    } catch (OverlappingFileLockException e) {
      close(locked);
      throw unusable("another process, or another logger of this one, uses it", e);
    }
  }

  private InferenceException unusable(String why, Exception cause) {
    return new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "the logger's spool '%s' cannot be used: %s".formatted(directory, why),
        cause);
  }

  private void findSegments() throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        String name = String.valueOf(file.getFileName());
        if (!name.matches("\\d{19}\\" + SUFFIX)) {
          continue;
        }
        if (Files.size(file) == 0) { // its name is the next one's
          Files.delete(file);
        } else {
          segments.put(Long.parseLong(name.substring(0, 19)), file);
          onDisk.addAndGet(Files.size(file));
        }
      }
    }
    long first = segments.isEmpty() ? 0 : segments.firstKey();
    long end = 0;
    if (!segments.isEmpty()) {
      Map.Entry<Long, Path> last = segments.lastEntry();
      end = last.getKey() + Files.size(last.getValue());
    }
    long done = cursor.position();
    written = Math.max(end, done);
    readPosition = segments.isEmpty() ? written : Math.max(first, Math.min(done, end));
    removed.set(readPosition);
    readable = written;
    if (readPosition < end) {
      oldestMillis = System.currentTimeMillis();
      LOG.info("the spool {} holds {} bytes to be sent", directory, end - readPosition);
    }
    tailStart = written;
    deleteRemoved();
  }

  // ---- putting

  /**
   * Puts a message at the end, where it may be taken after the next {@link #flush} at the latest.
   *
   * @param force whether it is kept even if there is no room, because nothing else may become of it
   * @return whether there was room
   */
  boolean put(LogMessage message, boolean force) {
    byte[] payload = message.toBytes();
    long size = (long) payload.length + Frames.HEADER;
    if (!force && onDisk.get() + chunk.size() + size > capacity) {
      return false;
    }
    Frames.write(chunk, payload);
    inChunk.add(message);
    endsInChunk.add(chunk.size());
    if (chunk.size() >= chunkSize) {
      flush();
    }
    return true;
  }

  /** Writes the chunk to the file; of what does not fit the disk, the first whole messages. */
  private void write() {
    ByteBuffer bytes = ByteBuffer.wrap(chunk.toByteArray());
    boolean hasFailed = false;
    try {
      FileChannel file = tail;
      if (file == null || written - tailStart >= segmentSize) {
        file = nextSegment();
      }
      while (bytes.hasRemaining()) {
        file.write(bytes, written - tailStart + bytes.position());
      }
    } catch (IOException e) {
      if (System.nanoTime() - failedNanos > FAILED_NANOS) {
        LOG.error("the spool {} cannot be written to, messages are lost: {}", directory, e);
      }
      failedNanos = System.nanoTime();
      hasFailed = true;
    }
    int whole = 0;
    for (int i = 0; i < inChunk.size(); i++) {
      LogMessage message = inChunk.get(i);
      int end = endsInChunk.get(i);
      if (end > bytes.position()) {
        listener.dropped(message.model(), DropReason.SPOOL_FULL);
      } else {
        whole = end;
        oldestMillis = oldestMillis == 0 ? message.timeMillis() : oldestMillis;
      }
    }
    written += whole;
    onDisk.addAndGet(whole);
    inChunk.clear();
    endsInChunk.clear();
    chunk.reset();
    if (hasFailed && written > tailStart) {
      endTail(); // so that it can be deleted when all of it is sent, which may make room
    }
  }

  /** Ends the file that is written to, without what is there of a message in part. */
  private void endTail() {
    FileChannel file = tail;
    if (file == null) {
      return;
    }
    flush();
    tail = null;
    try (file) {
      file.truncate(written - tailStart);
    } catch (IOException e) {
      LOG.error("the spool {} was left with a message in part: {}", directory, e);
    }
  }

  private FileChannel nextSegment() throws IOException {
    FileChannel before = tail;
    tail = null;
    if (before != null) {
      if (!sync.period().isNegative()) {
        before.force(false);
      }
      before.close();
    }
    Path path = directory.resolve("%019d%s".formatted(written, SUFFIX));
    FileChannel file =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    tailStart = written;
    tail = file;
    segments.put(tailStart, path);
    return file;
  }

  /** Called by the putting thread after all that came at once. What fails is counted. */
  void flush() {
    if (!inChunk.isEmpty()) {
      write();
    }
    FileChannel file = tail;
    if (file == null || readable == written) {
      return;
    }
    long now = System.nanoTime();
    if (!sync.period().isNegative() && now - syncedNanos >= sync.period().toNanos()) {
      syncedNanos = now;
      try {
        file.force(false);
      } catch (IOException e) {
        LOG.error("the spool {} cannot be forced to the disk: {}", directory, e);
        failedNanos = now;
      }
    }
    publish();
  }

  /** Lets the other thread read what was written. */
  private void publish() {
    readable = written;
    lock.lock();
    try {
      hasMore.signalAll();
    } finally {
      lock.unlock();
    }
  }

  // ---- taking

  @Override
  public List<Entry> take(Duration patience) throws InterruptedException {
    if (!awaitReadable(patience)) {
      return List.of();
    }
    List<Entry> taken = new ArrayList<>();
    long first = readPosition;
    try {
      while (readPosition < readable && readPosition - first < TAKEN_BYTES) {
        Frames file = head();
        Frames.Frame frame = file.next(readable - headStart);
        if (file.skipped() > 0) {
          LOG.error(
              "the spool {} is corrupt: {} bytes before position {} are passed over",
              directory,
              file.skipped(),
              headStart + file.position());
          listener.dropped("unknown", DropReason.SPOOL_CORRUPT);
        }
        if (frame != null) {
          readPosition = headStart + file.position();
          Entry entry = entry(frame);
          if (entry != null) {
            taken.add(entry);
          }
        } else {
          toNextSegment();
        }
      }
    } catch (ClosedByInterruptException e) {
      head = null; // is closed, and opened again by the next call
      Thread.interrupted();
      throw new InterruptedException();
    } catch (IOException e) {
      LOG.error("the spool {} cannot be read: {}", directory, e);
      listener.dropped("unknown", DropReason.SPOOL_CORRUPT);
      toNextSegment();
    }
    return taken;
  }

  private @Nullable Entry entry(Frames.Frame frame) {
    try {
      LogMessage message = LogMessage.ofBytes(frame.payload());
      return new Entry(message, readPosition, (long) frame.payload().length + Frames.HEADER);
    } catch (IOException e) {
      LOG.error("the spool {} holds what is no message: {}", directory, e);
      listener.dropped("unknown", DropReason.SPOOL_CORRUPT);
      return null;
    }
  }

  private boolean awaitReadable(Duration patience) throws InterruptedException {
    long left = patience.toNanos();
    if (readPosition < readable) {
      return true;
    }
    lock.lockInterruptibly();
    try {
      while (readPosition >= readable && left > 0) {
        left = hasMore.awaitNanos(left);
      }
    } finally {
      lock.unlock();
    }
    return readPosition < readable;
  }

  /** The file that the next frame is read from. */
  private Frames head() throws IOException {
    Frames open = head;
    if (open == null) {
      Map.Entry<Long, Path> segment = segments.floorEntry(readPosition);
      if (segment == null) {
        segment = requireNonNull(segments.firstEntry(), "what may be read has no file");
      }
      headStart = segment.getKey();
      open = new Frames(segment.getValue(), Math.max(0, readPosition - headStart));
      head = open;
    }
    return open;
  }

  private void toNextSegment() {
    Frames open = head;
    head = null;
    if (open != null) {
      open.close();
    }
    Long next = segments.higherKey(headStart);
    readPosition = next == null ? readable : next;
  }

  @Override
  public void removeThrough(Entry entry) {
    removed.accumulateAndGet(entry.position(), Math::max);
    oldestMillis = entry.position() >= readable ? 0 : entry.message().timeMillis();
  }

  @Override
  public void tidy() {
    long now = System.nanoTime();
    if (now - cursorNanos >= CURSOR_NANOS) {
      cursorNanos = now;
      saveCursor();
    }
  }

  private void saveCursor() {
    try {
      deleteRemoved(); // first: the cursor may need the room, and is not needed for what is gone
      cursor.save(removed.get());
    } catch (IOException e) {
      LOG.error("the spool {} cannot note what was sent: {}", directory, e);
    }
  }

  /** Deletes the files of which everything is removed, but not the one that is written to. */
  private void deleteRemoved() throws IOException {
    for (Map.Entry<Long, Path> first = segments.firstEntry();
        first != null;
        first = segments.firstEntry()) {
      Long next = segments.higherKey(first.getKey());
      long end = next == null ? Long.MAX_VALUE : next;
      boolean isLast = next == null;
      if (isLast && tail == null) {
        end = readable;
      }
      if (end > removed.get()) {
        return;
      }
      Frames open = head;
      if (open != null && headStart == first.getKey()) { // an open file keeps its room
        head = null;
        open.close();
      }
      long size = Files.size(first.getValue());
      Files.delete(first.getValue());
      segments.remove(first.getKey());
      onDisk.addAndGet(-size);
    }
  }

  // ---- both

  @Override
  public boolean hasRoom() {
    return onDisk.get() < capacity && System.nanoTime() - failedNanos >= FAILED_NANOS;
  }

  @Override
  public long byteSize() {
    return Math.max(0, readable - removed.get());
  }

  @Override
  public boolean isOnDisk() {
    return true;
  }

  @Override
  public long oldestMillis() {
    return byteSize() == 0 ? 0 : oldestMillis;
  }

  @Override
  public void close() {
    flush();
    Frames open = head;
    if (open != null) {
      open.close();
    }
    FileChannel file = tail;
    tail = null;
    try {
      if (file != null) {
        if (!sync.period().isNegative()) {
          file.force(false);
        }
        file.close();
      }
    } catch (IOException e) {
      LOG.error("the spool {} was not closed well: {}", directory, e);
    }
    saveCursor();
    cursor.close();
    close(lockFile);
  }

  private static void close(@Nullable FileChannel file) {
    try {
      if (file != null) {
        file.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

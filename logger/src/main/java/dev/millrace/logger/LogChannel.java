package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.InferenceLogger.InferenceRecord;
import dev.millrace.api.spi.LogListener;
import dev.millrace.api.spi.LogListener.DropReason;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The way of records to a sink under one promise: a queue, an outbox, and the thread that sends.
 * What is promised is encoded and written to the spool by a thread of its own; the rest as it is
 * sent. Thread-safe.
 */
final class LogChannel implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(LogChannel.class);
  private static final Duration RETRY_AFTER = Duration.ofSeconds(1);
  private static final Duration LEAST_CLOSE = Duration.ofMillis(200);
  private static final Duration IDLE = Duration.ofSeconds(1);

  /** What is on disk is safe, so an end is not held up for it for longer. */
  private static final Duration LONGEST_SPOOLED_CLOSE = Duration.ofSeconds(5);

  private final String name;
  private final RecordQueue queue;
  private final MessageEncoder encoder;
  private final Outbox outbox;
  private final Sink sink;
  private final LogListener listener;
  private final Sender sender;
  private final @Nullable Thread encoding;
  private final Thread sending;

  /**
   * Starts a channel.
   *
   * @param bufferBytes memory that records and messages may take
   * @param spool for messages of which each is sent until it arrives, taken over; null for those of
   *     which nothing is promised
   * @param sink taken over
   */
  LogChannel(
      String name,
      long bufferBytes,
      MessageEncoder encoder,
      @Nullable Spool spool,
      Sink sink,
      LogListener listener) {
    this.name = name;
    long half = Math.max(1, bufferBytes / 2);
    this.queue = new RecordQueue(half);
    this.encoder = encoder;
    this.outbox = spool == null ? new MemoryOutbox(queue, this::message, half) : spool;
    this.sink = sink;
    this.listener = listener;
    this.sender = new Sender(outbox, sink, spool != null, half, listener);
    this.encoding =
        spool == null
            ? null
            : Thread.ofPlatform()
                .name("logger-encoder-" + name)
                .daemon()
                .start(() -> encode(spool));
    this.sending = Thread.ofPlatform().name("logger-sender-" + name).daemon().start(sender);
  }

  Sink sink() {
    return sink;
  }

  /**
   * Makes sure that there is room for another inference.
   *
   * @throws InferenceException RESOURCE_EXHAUSTED if there is none
   */
  void requireRoom() {
    if (!queue.hasRoom() || !outbox.hasRoom()) {
      throw InferenceException.exhausted(
          "the inference log is full, and this model serves nothing that it cannot log",
          RETRY_AFTER);
    }
  }

  /**
   * Takes a record over, or drops and counts it.
   *
   * @param layout of its tensors
   */
  void log(InferenceRecord record, CapturedRecord.Layout layout, ModelSettings settings) {
    String model = record.model().name();
    long cost = CapturedRecord.cost(record, settings);
    if (settings.whenFull() == WhenFull.REFUSE) { // the request was let in, so its record is too
      queue.reserveAnyway(cost);
    } else if (!queue.reserve(cost)) {
      listener.dropped(model, DropReason.BUFFER_FULL);
      return;
    }
    CapturedRecord captured;
    try {
      captured = CapturedRecord.of(record, layout, settings);
    } catch (RuntimeException e) { // no memory outside the heap
      queue.release(cost);
      listener.dropped(model, DropReason.BUFFER_FULL);
      return;
    }
    if (queue.add(captured)) {
      listener.accepted(model);
    } else {
      captured.close();
      queue.release(cost);
      listener.dropped(model, DropReason.CLOSED);
    }
  }

  /** Moves records from the queue to the spool until the queue is closed. */
  private void encode(Spool spool) {
    try {
      while (true) {
        long encoded = 0;
        for (CapturedRecord record = queue.poll();
            record != null;
            record = encoded < RecordQueue.AT_ONCE ? queue.poll() : null) {
          encoded += record.cost();
          LogMessage message = message(record);
          boolean force = record.settings().whenFull() == WhenFull.REFUSE;
          if (message != null && !spool.put(message, force)) {
            listener.dropped(message.model(), DropReason.SPOOL_FULL);
          }
        }
        spool.flush();
        if (encoded > 0) {
          queue.release(encoded); // only now: what is out of the queue is in the file
        } else if (queue.isClosed()) {
          return;
        } else {
          queue.await(IDLE);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException | Error e) {
      LOG.error("the logger's encoder has failed, nothing more is logged", e);
      queue.close();
    }
  }

  /** The message of a record, which is closed; null if there is none, or none now. */
  private @Nullable LogMessage message(CapturedRecord record) {
    try (record) {
      return encoder.encode(record);
    } catch (RuntimeException e) {
      LOG.warn("a record of {} cannot be encoded: {}", record.model(), e.toString());
      listener.dropped(record.model().name(), DropReason.UNENCODABLE);
      return null;
    }
  }

  long bufferedBytes() {
    return queue.byteSize() + (outbox.isOnDisk() ? 0 : outbox.byteSize());
  }

  long spooledBytes() {
    return outbox.isOnDisk() ? outbox.byteSize() : 0;
  }

  /** When the oldest of what is held is of, in milliseconds since 1970; 0 if nothing is held. */
  long oldestMillis() {
    long sent = outbox.oldestMillis();
    return sent != 0 ? sent : queue.oldestMillis();
  }

  @Override
  public void close() {
    close(Duration.ZERO);
  }

  /** Sends what is held for at most that long, then says what is left and where. */
  void close(Duration grace) {
    long most = outbox.isOnDisk() ? LONGEST_SPOOLED_CLOSE.toNanos() : Long.MAX_VALUE;
    long end = System.nanoTime() + Math.max(Math.min(grace.toNanos(), most), LEAST_CLOSE.toNanos());
    queue.close();
    Thread encoder = encoding;
    if (encoder != null) {
      join(encoder, end);
    }
    sender.finish();
    join(sending, end);
    sender.stop();
    sending.interrupt();
    if (encoder != null) {
      encoder.interrupt();
    }
    sink.close(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
    join(sending, System.nanoTime() + LEAST_CLOSE.toNanos());
    if (encoder != null) {
      join(encoder, System.nanoTime() + LEAST_CLOSE.toNanos());
    }
    sender.removeDone();
    report();
    outbox.close();
  }

  private static void join(Thread thread, long endNanos) {
    try {
      thread.join(Duration.ofNanos(Math.max(1, endNanos - System.nanoTime())));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void report() {
    for (CapturedRecord left = queue.poll(); left != null; left = queue.poll()) {
      listener.dropped(left.model().name(), DropReason.CLOSED);
      left.close();
    }
    long bytes = outbox.byteSize();
    int messages = 0;
    for (LogMessage message : unsent()) {
      listener.dropped(message.model(), DropReason.CLOSED);
      messages++;
    }
    if (messages > 0) {
      LOG.warn("{} messages of the inference log could not be sent", messages);
    } else if (bytes > 0) {
      LOG.info("{} bytes of the inference log are in the spool, for the next start to send", bytes);
    } else {
      LOG.debug("the inference log {} is sent", name);
    }
  }

  private Iterable<LogMessage> unsent() {
    return outbox instanceof MemoryOutbox memory ? memory.messages() : List.of();
  }
}

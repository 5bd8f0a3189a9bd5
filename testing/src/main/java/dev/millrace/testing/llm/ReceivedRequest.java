package dev.millrace.testing.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** A request as it came, and what became of it. Thread-safe. */
public final class ReceivedRequest {
  /** What became of a request. */
  public enum End {
    /** The last byte of the answer was written. */
    ANSWERED,
    /** The client closed the connection before that. */
    CANCELLED,
    /** The script ended the connection. */
    BROKEN
  }

  private final String head;
  private final byte[] body;
  private final String method;
  private final String target;
  private final List<Map.Entry<String, String>> headers;
  private final int connection;
  private final int indexOnConnection;
  private final long receivedNanos = System.nanoTime();
  private final AtomicReference<@Nullable End> end = new AtomicReference<>();
  private final CountDownLatch gone = new CountDownLatch(1);
  private final CountDownLatch wake = new CountDownLatch(1);
  private final CountDownLatch over = new CountDownLatch(1);
  private volatile long endNanos;
  private volatile long bytesSent;
  private volatile int eventsSent;

  ReceivedRequest(
      String head,
      byte[] body,
      String method,
      String target,
      List<Map.Entry<String, String>> headers,
      int connection,
      int indexOnConnection) {
    this.head = head;
    this.body = body;
    this.method = method;
    this.target = target;
    this.headers = List.copyOf(headers);
    this.connection = connection;
    this.indexOnConnection = indexOnConnection;
  }

  public String method() {
    return method;
  }

  /** Path and query. */
  public String target() {
    return target;
  }

  /** The path without the query. */
  public String path() {
    int query = target.indexOf('?');
    return query < 0 ? target : target.substring(0, query);
  }

  /** Request line and headers, byte for byte, one character each. */
  public String head() {
    return head;
  }

  /** The body's bytes, without the framing of HTTP; a copy. */
  public byte[] body() {
    return body.clone();
  }

  /** The body as text. */
  public String text() {
    return new String(body, UTF_8);
  }

  /** Names and values as they came, in their order. */
  public List<Map.Entry<String, String>> headers() {
    return headers;
  }

  /** The first header of this name, in whatever case. */
  public @Nullable String header(String name) {
    for (Map.Entry<String, String> header : headers) {
      if (header.getKey().equalsIgnoreCase(name)) {
        return header.getValue();
      }
    }
    return null;
  }

  /** A number that only this request's connection has, counted from 1. */
  public int connection() {
    return connection;
  }

  /** How many requests came on the same connection before. */
  public int indexOnConnection() {
    return indexOnConnection;
  }

  /** When all of it had been read, by {@link System#nanoTime}. */
  public long receivedNanos() {
    return receivedNanos;
  }

  /** What became of it; null while it is being answered. */
  public @Nullable End end() {
    return end.get();
  }

  /** Whether the client closed the connection before the answer was complete. */
  public boolean isCancelled() {
    return end.get() == End.CANCELLED;
  }

  /** When it ended, by {@link System#nanoTime}; meaningless while it is being answered. */
  public long endNanos() {
    return endNanos;
  }

  /** Bytes of the answer that were given to the kernel, headers included. */
  public long bytesSent() {
    return bytesSent;
  }

  /** Events that were given to the kernel, of a stream. */
  public int eventsSent() {
    return eventsSent;
  }

  /**
   * Waits until it has ended.
   *
   * @throws AssertionError if it has not after ten seconds
   */
  public End awaitEnd() throws InterruptedException {
    boolean ended = over.await(10, TimeUnit.SECONDS);
    End how = end.get();
    if (!ended || how == null) {
      throw new AssertionError("still open after 10 s: " + this);
    }
    return how;
  }

  /** Called by the thread that answers only. */
  @SuppressWarnings("NonAtomicVolatileUpdate")
  void sent(int bytes) {
    bytesSent += bytes;
  }

  /** Called by the thread that answers only. */
  @SuppressWarnings("NonAtomicVolatileUpdate")
  void sentEvent() {
    eventsSent++;
  }

  void ended(End how) {
    long now = System.nanoTime();
    if (end.get() == null) {
      endNanos = now;
    }
    if (end.compareAndSet(null, how)) {
      over.countDown();
    }
    if (how != End.ANSWERED) {
      gone.countDown();
      wake.countDown();
    }
  }

  /** Takes back that it was answered: the last bytes could not be written. */
  void notAnswered() {
    end.compareAndSet(End.ANSWERED, End.CANCELLED);
    gone.countDown();
  }

  /** Lets a stalled answer go on. */
  void wake() {
    wake.countDown();
  }

  /** Waits until the answer may go on, or cannot any more. */
  void awaitWake() throws InterruptedException {
    wake.await();
  }

  /** Counted down when the answer cannot be sent any more. */
  CountDownLatch gone() {
    return gone;
  }

  @Override
  public String toString() {
    End how = end.get();
    return "%s %s on connection %d/%d: %s"
        .formatted(
            method,
            target,
            connection,
            indexOnConnection,
            how == null ? "open" : how.name().toLowerCase(Locale.ROOT));
  }
}

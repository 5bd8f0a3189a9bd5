package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Counts the requests in flight in the server, bounds them, and waits for the last. Thread-safe.
 */
final class Admission {
  private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

  /** The part of the bound in bytes from which on less should come. */
  private static final double PRESSURE = 0.8;

  private final int maxRequests;
  private final long maxBytes;
  private final AtomicInteger requests = new AtomicInteger();
  private final AtomicLong bytes = new AtomicLong();
  private final CountDownLatch drained = new CountDownLatch(1);
  private volatile boolean closed;

  Admission(int maxRequests, long maxBytes) {
    this.maxRequests = maxRequests;
    this.maxBytes = maxBytes;
  }

  /**
   * Lets a request in, which {@link #leave} ends. A request larger than the bound is let in when it
   * is alone.
   *
   * @throws InferenceException RESOURCE_EXHAUSTED if there are too many, UNAVAILABLE once closed
   */
  void enter(long requestBytes) {
    int nowRequests = requests.incrementAndGet();
    long nowBytes = bytes.addAndGet(requestBytes);
    if (closed) {
      leave(requestBytes);
      throw InferenceException.unavailable("the server is shutting down");
    }
    if (nowRequests > maxRequests) {
      leave(requestBytes);
      throw InferenceException.exhausted(
          "the server has reached its limit of %d requests in flight".formatted(maxRequests),
          RETRY_AFTER);
    }
    if (nowBytes > maxBytes && nowBytes != requestBytes) {
      leave(requestBytes);
      throw InferenceException.exhausted(
          "the server has reached its limit of %d bytes of requests in flight".formatted(maxBytes),
          RETRY_AFTER);
    }
  }

  void leave(long requestBytes) {
    bytes.addAndGet(-requestBytes);
    // After closing, nothing gets in for good, so the count is final once it is zero.
    if (requests.decrementAndGet() == 0 && closed) {
      drained.countDown();
    }
  }

  /**
   * Takes bytes for something that is no request, which {@link #give} gives back; whether there is
   * room. What is larger than the bound has room when it is alone.
   */
  boolean take(long more) {
    long now = bytes.addAndGet(more);
    if (now > maxBytes && now != more) {
      bytes.addAndGet(-more);
      return false;
    }
    return true;
  }

  void give(long taken) {
    bytes.addAndGet(-taken);
  }

  int requests() {
    return requests.get();
  }

  long bytes() {
    return bytes.get();
  }

  /** Whether most of the bytes are taken. */
  boolean isPressed() {
    return bytes.get() > PRESSURE * maxBytes;
  }

  /** Lets nobody in any more. */
  void close() {
    closed = true;
    if (requests.get() == 0) {
      drained.countDown();
    }
  }

  /** Waits until all have left, at most that long; whether they have. */
  boolean awaitDrained(Duration timeout) throws InterruptedException {
    return drained.await(timeout.toNanos(), TimeUnit.NANOSECONDS);
  }
}

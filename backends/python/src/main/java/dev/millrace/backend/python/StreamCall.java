package dev.millrace.backend.python;

import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One request to a script that answers in parts: a virtual thread reads them and hands them on as
 * they are asked for. While nobody asks, it does not read, and so the script waits.
 *
 * @param <T> a part
 */
final class StreamCall<T> implements Flow.Subscription {
  private static final Logger LOG = LoggerFactory.getLogger(StreamCall.class);

  /** What is asked of the script, and how its answer is read. */
  interface Exchange<T> {
    /** Has the script begin. */
    void begin(Connection connection) throws IOException;

    /** Waits for the next part; null after the last. */
    @Nullable T next(Connection connection) throws IOException, ScriptError;

    /**
     * What the subscriber gets of a part, which this takes over.
     *
     * @throws InferenceException if it is not what was asked for; that ends the stream
     */
    default T finish(T part) {
      return part;
    }

    /** Frees a part that nobody wants any more. */
    default void discard(T part) {}

    /** Frees what was asked with. Called once, after the answer has ended or was never begun. */
    default void close() {}
  }

  private final WorkerPool pool;
  private final Exchange<T> exchange;
  private final Deadline deadline;
  private final Flow.Subscriber<? super T> subscriber;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Thread thread;

  // Under the lock.
  private long demand;
  private boolean cancelled;
  private @Nullable InferenceException reason;
  private boolean isAcquiring = true;

  /** The connection while the script is at work on it. */
  private @Nullable Connection working;

  /**
   * A call, to be started.
   *
   * @param exchange taken over
   * @param deadline after which nobody wants the answer, or its rest
   */
  StreamCall(
      WorkerPool pool,
      Exchange<T> exchange,
      Deadline deadline,
      Flow.Subscriber<? super T> subscriber) {
    this.pool = pool;
    this.exchange = exchange;
    this.deadline = deadline;
    this.subscriber = subscriber;
    this.thread = Thread.ofVirtual().name("python-stream").unstarted(this::run);
  }

  void start() {
    subscriber.onSubscribe(this);
    thread.start();
  }

  @Override
  public void request(long count) {
    if (count <= 0) {
      give(InferenceException.invalidArgument("asked for %d parts".formatted(count)));
      return;
    }
    lock.lock();
    try {
      demand = demand + count < 0 ? Long.MAX_VALUE : demand + count;
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void cancel() {
    give(null);
  }

  /** Ends the script's work; the subscriber is told why, if there is a reason. */
  private void give(@Nullable InferenceException why) {
    lock.lock();
    try {
      if (cancelled) {
        return;
      }
      cancelled = true;
      reason = why;
      changed.signal();
      if (isAcquiring) {
        thread.interrupt();
      }
      if (working != null) {
        Thread.ofVirtual().start(this::sendCancel);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Under the lock, so that it cannot reach another call on the same connection. */
  private void sendCancel() {
    lock.lock();
    try {
      if (working != null) {
        working.cancel();
      }
    } catch (IOException e) {
      LOG.debug("a stream cannot be cancelled: its process is gone", e);
    } finally {
      lock.unlock();
    }
  }

  private void run() {
    InferenceException failure = null;
    Thread limit = limit();
    try {
      generate();
    } catch (InferenceException e) {
      failure = e;
    } finally {
      if (limit != null) {
        limit.interrupt();
      }
      exchange.close();
    }
    tellEnd(failure);
  }

  private void tellEnd(@Nullable InferenceException failure) {
    InferenceException told = failure;
    lock.lock();
    try {
      if (cancelled) {
        if (reason == null) {
          return;
        }
        told = reason;
      }
      cancelled = true;
      reason = null;
    } finally {
      lock.unlock();
    }
    if (told == null) {
      subscriber.onComplete();
    } else {
      subscriber.onError(told);
    }
  }

  private @Nullable Thread limit() {
    if (deadline.isNone()) {
      return null;
    }
    return Thread.ofVirtual()
        .start(() -> {
          try {
            long left = deadline.remaining(System.nanoTime());
            TimeUnit.NANOSECONDS.sleep(Math.max(0, left));
            give(
                new InferenceException(
                    ErrorCode.DEADLINE_EXCEEDED, "the answer was not complete in time"));
          } catch (InterruptedException e) {
            LOG.trace("a stream ended in time");
          }
        });
  }

  private void generate() {
    Connection connection = pool.acquire();
    boolean usable = false;
    try {
      if (begin(connection)) {
        for (T part = exchange.next(connection); part != null; part = exchange.next(connection)) {
          if (awaitDemand()) {
            handOn(part);
          } else {
            exchange.discard(part);
          }
        }
        connection.worker().served();
      }
      usable = true;
    } catch (ScriptError e) {
      usable = true;
      connection.worker().served();
      throw pool.failed(e);
    } catch (IOException e) {
      LOG.debug("a stream failed", e);
      throw pool.lost(connection, e);
    } finally {
      forget();
      pool.release(connection, usable);
    }
  }

  private void handOn(T part) {
    T finished;
    try {
      finished = exchange.finish(part);
    } catch (InferenceException e) {
      give(e);
      return;
    }
    try {
      subscriber.onNext(finished);
    } catch (RuntimeException e) {
      give(new InferenceException(ErrorCode.INTERNAL, "the answer was not taken", e));
    }
  }

  /** Has the script begin; false if nobody wants it any more. */
  private boolean begin(Connection connection) throws IOException {
    lock.lock();
    try {
      isAcquiring = false;
      boolean interrupted = Thread.interrupted();
      if (interrupted || cancelled) {
        return false;
      }
    } finally {
      lock.unlock();
    }
    exchange.begin(connection);
    lock.lock();
    try {
      working = connection;
      if (cancelled) {
        connection.cancel();
      }
    } finally {
      lock.unlock();
    }
    return true;
  }

  private void forget() {
    lock.lock();
    try {
      working = null;
      isAcquiring = false;
    } finally {
      lock.unlock();
    }
  }

  /** Waits until another part is wanted; false if none is any more. */
  private boolean awaitDemand() {
    lock.lock();
    try {
      while (demand == 0 && !cancelled) {
        changed.awaitUninterruptibly();
      }
      if (cancelled) {
        return false;
      }
      if (demand != Long.MAX_VALUE) {
        demand--;
      }
      return true;
    } finally {
      lock.unlock();
    }
  }
}

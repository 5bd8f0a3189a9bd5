package dev.millrace.backend.python;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.GenerationRequest;
import dev.millrace.api.spi.TextGenerator.Part;
import java.io.IOException;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One request to a script that generates: a virtual thread reads the parts and hands them on as
 * they are asked for. While nobody asks, it does not read, and so the script waits.
 */
final class GenerationCall implements Flow.Subscription {
  private static final Logger LOG = LoggerFactory.getLogger(GenerationCall.class);

  private final WorkerPool pool;
  private final GenerationRequest request;
  private final Flow.Subscriber<? super Part> subscriber;
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

  GenerationCall(
      WorkerPool pool, GenerationRequest request, Flow.Subscriber<? super Part> subscriber) {
    this.pool = pool;
    this.request = request;
    this.subscriber = subscriber;
    this.thread = Thread.ofVirtual().name("python-generation").unstarted(this::run);
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
        working.cancelGeneration();
      }
    } catch (IOException e) {
      LOG.debug("a generation cannot be cancelled: its process is gone", e);
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
    if (request.deadline().isNone()) {
      return null;
    }
    return Thread.ofVirtual()
        .start(() -> {
          try {
            long left = request.deadline().remaining(System.nanoTime());
            TimeUnit.NANOSECONDS.sleep(Math.max(0, left));
            give(
                new InferenceException(
                    ErrorCode.DEADLINE_EXCEEDED, "the answer was not complete in time"));
          } catch (InterruptedException e) {
            LOG.trace("a generation ended in time");
          }
        });
  }

  private void generate() {
    Connection connection = pool.acquire();
    boolean usable = false;
    try {
      if (begin(connection)) {
        for (Part part = connection.nextPart(); part != null; part = connection.nextPart()) {
          if (awaitDemand()) {
            handOn(part);
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
      LOG.debug("a generation failed", e);
      throw pool.lost(connection, e);
    } finally {
      forget();
      pool.release(connection, usable);
    }
  }

  private void handOn(Part part) {
    try {
      subscriber.onNext(part);
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
    connection.generate(number(request.operation()), request.headers(), request.body());
    lock.lock();
    try {
      working = connection;
      if (cancelled) {
        connection.cancelGeneration();
      }
    } finally {
      lock.unlock();
    }
    return true;
  }

  /** The number in frames. */
  private static int number(GenerationRequest.Operation operation) {
    return switch (operation) {
      case CHAT -> 0;
      case COMPLETION -> 1;
      case EMBEDDINGS -> 2;
    };
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

package dev.millrace.logger;

import dev.millrace.api.spi.LogListener;
import dev.millrace.api.spi.LogListener.DropReason;
import dev.millrace.logger.Outbox.Entry;
import dev.millrace.logger.Sink.SinkException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The thread that takes messages from an outbox and sends them, in order, with several under way at
 * once.
 *
 * <p>What is under way stands in the window until everything before it has an answer; then it is
 * removed from the outbox. When one fails that may succeed later, nothing more is sent until all
 * that is under way has an answer; after a pause, those that failed are sent again, in order. So a
 * message is overtaken only if the sink itself lets one overtake another.
 */
final class Sender implements Runnable {
  private static final Logger LOG = LoggerFactory.getLogger(Sender.class);
  private static final Duration IDLE = Duration.ofMillis(100);
  private static final long SHORTEST_PAUSE = Duration.ofMillis(100).toNanos();
  private static final long LONGEST_PAUSE = Duration.ofSeconds(5).toNanos();
  private static final long COMPLAINT_NANOS = Duration.ofSeconds(10).toNanos();

  private enum State {
    UNDER_WAY,
    FAILED,
    DONE
  }

  private final Outbox outbox;
  private final Sink sink;
  private final boolean promised;
  private final long windowBytes;
  private final LogListener listener;

  // Under this object's monitor.
  private final Deque<Parcel> window = new ArrayDeque<>();
  private int underWay;
  private long heldBytes;
  private boolean hasFailed;

  private long pause = SHORTEST_PAUSE;
  private long complainedNanos = System.nanoTime() - COMPLAINT_NANOS;
  private long complaints;

  private volatile boolean finishing;
  private volatile boolean stopped;

  /**
   * @param promised whether every message is sent until it arrives
   * @param windowBytes how much may be under way at once
   */
  Sender(Outbox outbox, Sink sink, boolean promised, long windowBytes, LogListener listener) {
    this.outbox = outbox;
    this.sink = sink;
    this.promised = promised;
    this.windowBytes = windowBytes;
    this.listener = listener;
  }

  /** Sends until it is told to finish and there is nothing left, or is interrupted. */
  @Override
  public void run() {
    try {
      while (!stopped) {
        if (hasFailed()) {
          sendAgain();
        }
        Entry entry = outbox.take(finishing ? Duration.ZERO : IDLE);
        if (entry != null) {
          send(enter(entry));
        } else {
          flush();
          if (finishing && isSettled()) {
            break;
          }
        }
        outbox.tidy();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException | Error e) {
      LOG.error("the logger's sender has failed, nothing more is sent", e);
    }
  }

  /** Ends when everything is sent. */
  void finish() {
    finishing = true;
  }

  /** Ends soon, whatever is left. */
  void stop() {
    stopped = true;
    synchronized (this) {
      notifyAll();
    }
  }

  private synchronized boolean hasFailed() {
    return hasFailed;
  }

  /** Whether nothing is under way or has to be sent again; waits a little for it. */
  private synchronized boolean isSettled() throws InterruptedException {
    if (!window.isEmpty() && !hasFailed) {
      TimeUnit.MILLISECONDS.timedWait(this, 10);
    }
    return window.isEmpty();
  }

  /** Puts a message into the window when there is room. */
  private Parcel enter(Entry entry) throws InterruptedException {
    if (mustWait(entry)) { // for answers, which may need a push
      flush();
    }
    return enterWhenThereIsRoom(entry);
  }

  private synchronized boolean mustWait(Entry entry) {
    return !stopped
        && underWay > 0
        && (heldBytes + entry.byteSize() > windowBytes || underWay >= sink.maxInFlight());
  }

  private synchronized Parcel enterWhenThereIsRoom(Entry entry) throws InterruptedException {
    while (mustWait(entry)) {
      wait();
    }
    Parcel parcel = new Parcel(entry);
    window.addLast(parcel);
    heldBytes += entry.byteSize();
    return parcel;
  }

  private void send(Parcel parcel) throws InterruptedException {
    synchronized (this) {
      if (hasFailed) { // what is before this one has to go first
        parcel.state = State.FAILED;
        return;
      }
      parcel.state = State.UNDER_WAY;
      underWay++;
    }
    parcel.attempts++;
    parcel.sentNanos = System.nanoTime();
    LogMessage message = parcel.entry.message();
    listener.sent(message.model());
    try {
      sink.send(message, parcel);
    } catch (SinkException e) {
      settle(parcel, e);
    } catch (RuntimeException e) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      settle(parcel, SinkException.passing(e.toString(), e));
    }
  }

  private void flush() {
    try {
      sink.flush();
    } catch (SinkException | RuntimeException e) {
      complain(e);
    }
  }

  /** Waits until nothing is under way, then sends what failed again. */
  private void sendAgain() throws InterruptedException {
    synchronized (this) {
      while (underWay > 0 && !stopped) {
        wait();
      }
      long end = System.nanoTime() + pause;
      for (long left = pause; left > 0 && !stopped; left = end - System.nanoTime()) {
        TimeUnit.NANOSECONDS.timedWait(this, left);
      }
      if (stopped) {
        return;
      }
      pause = Math.min(LONGEST_PAUSE, 2 * pause);
      hasFailed = false;
    }
    outbox.tidy();
    sink.recover();
    for (Parcel parcel : failed()) {
      synchronized (this) {
        while (!stopped && underWay > 0 && underWay >= sink.maxInFlight()) {
          wait();
        }
      }
      if (stopped) {
        return;
      }
      send(parcel);
    }
  }

  private synchronized Iterable<Parcel> failed() {
    Deque<Parcel> failed = new ArrayDeque<>();
    for (Parcel parcel : window) {
      if (parcel.state == State.FAILED) {
        failed.addLast(parcel);
      }
    }
    return failed;
  }

  /** Takes note of how a message went; any thread. */
  private void settle(Parcel parcel, @Nullable SinkException failure) {
    String model = parcel.entry.message().model();
    DropReason dropped = null;
    if (failure == null) {
      listener.acknowledged(model, System.nanoTime() - parcel.sentNanos);
    } else {
      complain(failure);
      dropped = failure.hopeless();
      if (dropped == null && !promised && parcel.attempts >= sink.attempts()) {
        dropped = DropReason.NOT_SENT;
      }
      if (dropped != null) {
        listener.dropped(model, dropped);
      }
    }
    synchronized (this) {
      if (parcel.state != State.UNDER_WAY) {
        return; // a second answer
      }
      underWay--;
      if (failure != null && dropped == null) {
        parcel.state = State.FAILED;
        hasFailed = true;
      } else {
        parcel.state = State.DONE;
        pause = failure == null ? SHORTEST_PAUSE : pause;
        removeDone();
      }
      notifyAll();
    }
  }

  private void removeDone() {
    Entry last = null;
    Iterator<Parcel> parcels = window.iterator();
    while (parcels.hasNext()) {
      Parcel parcel = parcels.next();
      if (parcel.state != State.DONE) {
        break;
      }
      last = parcel.entry;
      heldBytes -= last.byteSize();
      parcels.remove();
    }
    if (last != null) {
      outbox.removeThrough(last);
    }
  }

  private void complain(Exception failure) {
    long now = System.nanoTime();
    synchronized (this) {
      complaints++;
      if (now - complainedNanos < COMPLAINT_NANOS) {
        return;
      }
      complainedNanos = now;
      LOG.warn(
          "the inference log was not sent ({} failures so far): {}",
          complaints,
          failure.getMessage());
    }
  }

  /** Messages that were taken from the outbox and are not done. */
  synchronized int unfinished() {
    int count = 0;
    for (Parcel parcel : window) {
      count += parcel.state == State.DONE ? 0 : 1;
    }
    return count;
  }

  /** A message in the window. */
  private final class Parcel implements Sink.Answer {
    private final Entry entry;
    private int attempts;
    private volatile long sentNanos;

    // Under the sender's monitor.
    private State state = State.UNDER_WAY;

    Parcel(Entry entry) {
      this.entry = entry;
    }

    @Override
    public void settled(@Nullable SinkException failure) {
      settle(this, failure);
    }
  }
}

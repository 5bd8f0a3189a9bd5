package dev.millrace.logger;

import dev.millrace.api.spi.LogListener;
import dev.millrace.api.spi.LogListener.DropReason;
import dev.millrace.logger.Outbox.Entry;
import dev.millrace.logger.Sink.SinkException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceFieldUpdater;
import java.util.concurrent.locks.LockSupport;
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
 *
 * <p>An answer only leaves its mark on the message: this thread looks at what is marked, as often
 * as it takes messages and every few milliseconds.
 */
final class Sender implements Runnable {
  private static final Logger LOG = LoggerFactory.getLogger(Sender.class);
  private static final Duration IDLE = Duration.ofMillis(100);
  private static final Duration GLANCE = Duration.ofMillis(2);
  private static final long SHORTEST_PAUSE = Duration.ofMillis(100).toNanos();
  private static final long LONGEST_PAUSE = Duration.ofSeconds(5).toNanos();
  private static final long COMPLAINT_NANOS = Duration.ofSeconds(10).toNanos();

  /** What became of a message that was sent. */
  private enum Outcome {
    FAILED,
    DROPPED,
    ACKNOWLEDGED
  }

  private final Outbox outbox;
  private final Sink sink;
  private final boolean promised;
  private final long windowBytes;
  private final LogListener listener;

  /** Under this object's monitor, which is free but at the end. */
  private final Deque<Parcel> window = new ArrayDeque<>();

  private long heldBytes;

  /** Messages that were handed to the sink; for the sending thread. */
  private long sent;

  /** Those of them that have an answer. */
  private final AtomicLong answered = new AtomicLong();

  private volatile boolean hasFailed;

  /** The sending thread, while it waits for an answer. */
  private volatile @Nullable Thread waiting;

  private long pause = SHORTEST_PAUSE;

  // Under this object's monitor.
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
        if (hasFailed) {
          sendAgain();
        }
        boolean wasSettled = !hasWindow();
        boolean mayEnd = wasSettled && finishing;
        List<Entry> entries = outbox.take(mayEnd ? Duration.ZERO : wasSettled ? IDLE : GLANCE);
        send(entries);
        if (entries.isEmpty()) {
          flush();
          removeDone();
          if (mayEnd) {
            break;
          }
        } else {
          removeDone();
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
    wake();
  }

  private void wake() {
    Thread thread = waiting;
    if (thread != null) {
      LockSupport.unpark(thread);
    }
  }

  /** Whether anything is under way, has to be sent again, or waits for one before it. */
  private synchronized boolean hasWindow() {
    return !window.isEmpty();
  }

  private void send(List<Entry> entries) throws InterruptedException {
    String model = "";
    int alike = 0;
    for (Entry entry : entries) {
      while (hasFailed && !stopped) { // what is before this one has to go first
        sendAgain();
      }
      if (mustWait(entry.byteSize())) {
        flush(); // answers may need a push
        while (mustWait(entry.byteSize())) {
          awaitAnswer();
        }
      }
      if (stopped) {
        break; // it stays in the outbox
      }
      if (!entry.message().model().equals(model)) {
        tell(model, alike);
        model = entry.message().model();
        alike = 0;
      }
      alike++;
      send(enter(entry));
    }
    tell(model, alike);
  }

  private void tell(String model, int count) {
    if (count > 0) {
      listener.sent(model, count);
    }
  }

  /** How many messages have no answer; for the sending thread. */
  private long underWay() {
    return sent - answered.get();
  }

  /** Whether the window has no room; looks at the answers if it seems so. */
  private boolean mustWait(long size) {
    if (isOpen(size)) {
      return false;
    }
    removeDone();
    return !isOpen(size);
  }

  private boolean isOpen(long size) {
    long count = underWay();
    return stopped || count == 0 || (heldBytes + size <= windowBytes && count < sink.maxInFlight());
  }

  /** Waits a little, and not if answers come. */
  private void awaitAnswer() throws InterruptedException {
    long before = underWay();
    waiting = Thread.currentThread();
    if (before > 0 && underWay() == before && !stopped) {
      LockSupport.parkNanos(this, GLANCE.toNanos());
    }
    waiting = null;
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
  }

  private synchronized Parcel enter(Entry entry) {
    Parcel parcel = new Parcel(entry);
    window.addLast(parcel);
    heldBytes += entry.byteSize();
    return parcel;
  }

  private void send(Parcel parcel) throws InterruptedException {
    sent++;
    parcel.attempts++;
    parcel.sentNanos = System.nanoTime();
    try {
      sink.send(parcel.entry.message(), parcel);
    } catch (SinkException e) {
      parcel.settled(e);
    } catch (RuntimeException e) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      parcel.settled(SinkException.passing(e.toString(), e));
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
    flush();
    while (underWay() > 0 && !stopped) {
      awaitAnswer();
    }
    long end = System.nanoTime() + pause;
    for (long left = pause; left > 0 && !stopped; left = end - System.nanoTime()) {
      TimeUnit.NANOSECONDS.sleep(Math.min(left, IDLE.toNanos()));
    }
    if (stopped) {
      return;
    }
    pause = Math.min(LONGEST_PAUSE, 2 * pause);
    hasFailed = false;
    removeDone();
    outbox.tidy();
    sink.recover();
    for (Parcel parcel : failed()) {
      while (!stopped && underWay() > 0 && underWay() >= sink.maxInFlight()) {
        flush();
        awaitAnswer();
      }
      if (stopped) {
        return;
      }
      if (hasFailed) { // again, and what is before this one has to go first
        continue;
      }
      listener.sent(parcel.entry.message().model(), 1);
      parcel.outcome = null;
      send(parcel);
    }
  }

  private synchronized List<Parcel> failed() {
    return window.stream().filter(parcel -> parcel.outcome == Outcome.FAILED).toList();
  }

  /**
   * Removes what has its answer from the window, as far as everything before it has one too, and
   * from the outbox. Called by the sending thread, and by who closes when that one has ended.
   */
  synchronized void removeDone() {
    Entry last = null;
    int done = 0;
    for (Parcel parcel : window) {
      if (!parcel.isDone()) {
        break;
      }
      last = parcel.entry;
      done++;
    }
    if (last == null) {
      return;
    }
    outbox.removeThrough(last);
    Parcel first = null;
    int alike = 0;
    for (; done > 0; done--) {
      Parcel parcel = window.removeFirst();
      heldBytes -= parcel.entry.byteSize();
      if (parcel.outcome != Outcome.ACKNOWLEDGED) {
        continue;
      }
      if (first != null && !first.model().equals(parcel.model())) {
        listener.acknowledged(first.model(), alike, first.nanos());
        first = null;
      }
      if (first == null) {
        first = parcel;
        alike = 0;
      }
      alike++;
    }
    if (first != null) {
      pause = SHORTEST_PAUSE;
      listener.acknowledged(first.model(), alike, first.nanos());
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

  /**
   * A message in the window. The sink hands it from the sending thread to the one that answers, and
   * the outcome hands it back, so that the other fields need no care of their own.
   */
  private final class Parcel implements Sink.Answer {
    private static final AtomicReferenceFieldUpdater<Parcel, @Nullable Outcome> OUTCOME =
        AtomicReferenceFieldUpdater.newUpdater(Parcel.class, Outcome.class, "outcome");

    private final Entry entry;
    private int attempts;
    private long sentNanos;
    private long answeredNanos;

    /** Null before it has an answer. */
    private volatile @Nullable Outcome outcome;

    Parcel(Entry entry) {
      this.entry = entry;
    }

    String model() {
      return entry.message().model();
    }

    boolean isDone() {
      Outcome now = outcome;
      return now == Outcome.ACKNOWLEDGED || now == Outcome.DROPPED;
    }

    long nanos() {
      return answeredNanos - sentNanos;
    }

    @Override
    public void settled(@Nullable SinkException failure) {
      answeredNanos = System.nanoTime();
      DropReason reason = failure == null ? null : failure.hopeless();
      if (failure != null && reason == null && !promised && attempts >= sink.attempts()) {
        reason = DropReason.NOT_SENT;
      }
      Outcome answer =
          failure == null
              ? Outcome.ACKNOWLEDGED
              : reason == null ? Outcome.FAILED : Outcome.DROPPED;
      if (!OUTCOME.compareAndSet(this, null, answer)) {
        return; // a second answer
      }
      if (answer == Outcome.FAILED) {
        hasFailed = true;
      }
      if (failure != null) {
        complain(failure);
      }
      if (reason != null) {
        listener.dropped(model(), reason);
      }
      answered.incrementAndGet();
      wake();
    }
  }
}

package dev.millrace.batcher;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.BatchPolicy.Decision;
import dev.millrace.batcher.BatchPolicy.Hold;
import dev.millrace.batcher.BatchPolicy.Run;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands what waits to the runners, as the policy decides. All the state that threads share is here,
 * under one lock: the queue, the heap of deadlines, the idle runners, the policy's own. A
 * submission takes the lock once and a runner once a batch. Nothing is predicted, copied, closed,
 * completed or told to the listener under it.
 *
 * <p>An idle runner waits on a condition of its own, and a submission signals one if there is one:
 * while all are busy nobody is woken. During a hold only the runner that holds is, once enough
 * waits. A runner that leaves something in the queue wakes the next one.
 */
final class Dispatcher {
  private static final Logger log = LoggerFactory.getLogger(Dispatcher.class);

  private static final Duration UNKNOWN_RETRY = Duration.ofSeconds(1);
  private static final Duration LONGEST_RETRY = Duration.ofMinutes(1);

  private final String name;
  private final BatcherConfig config;
  private final BatchPolicy policy;
  private final BatchListener listener;
  private final Ticker ticker;
  private final int runners;

  private final ReentrantLock lock = new ReentrantLock();
  private final RequestQueue queue;
  private final DeadlineTimer timer;
  private final ArrayDeque<BatchRunner> idle = new ArrayDeque<>();

  /** The runner that holds back; null if none does. */
  private @Nullable BatchRunner holder;

  private int holdTarget;
  private int running;
  private boolean closing;
  private final MeasuredSpeed speed = new MeasuredSpeed();

  /** Written under the lock. */
  private volatile boolean merging = true;

  /**
   * @param listener must not throw
   * @param runners that will ask for work
   */
  Dispatcher(
      String name,
      BatcherConfig config,
      BatchPolicy policy,
      BatchListener listener,
      Ticker ticker,
      int runners) {
    this.name = name;
    this.config = config;
    this.policy = policy;
    this.listener = listener;
    this.ticker = ticker;
    this.runners = runners;
    this.queue = new RequestQueue(config.maxBatchSize());
    this.timer = new DeadlineTimer(this, name, lock, queue, ticker);
  }

  String name() {
    return name;
  }

  Condition newCondition() {
    return lock.newCondition();
  }

  /** Queues a request; null if it was accepted, else why not. */
  @Nullable ShedReason offer(Request request) {
    lock.lock();
    try {
      if (closing) {
        return ShedReason.CLOSING;
      }
      if (queue.requests() >= config.queueLimit()
          || (!queue.isEmpty() && queue.bytes() + request.bytes > config.queueBytes())) {
        return ShedReason.QUEUE_FULL;
      }
      queue.add(request);
      if (!request.deadline.isNone()) {
        timer.add(request);
      }
      if (holder == null) {
        wakeIdle();
      } else if (queue.queuedRows() >= holdTarget) {
        wakeHolder();
      }
      return null;
    } finally {
      lock.unlock();
    }
  }

  private void wakeIdle() {
    BatchRunner runner = idle.pollFirst();
    if (runner != null) {
      runner.idle = false;
      queue.idleRunners(idle.size());
      runner.wake.signal();
    }
  }

  private void wakeHolder() {
    if (holder != null) {
      holder.wake.signal();
      holder = null;
    }
  }

  /**
   * Called by a runner after each batch: waits until there is something for it, and puts that into
   * its {@code parts} and {@code dropped}, one of which may be empty. False when it shall end.
   */
  boolean next(BatchRunner runner) {
    lock.lock();
    try {
      finish(runner);
      while (true) {
        long now = ticker.nanos();
        dropOver(runner, now);
        if (!runner.dropped.isEmpty()) {
          wakeForRest();
          return true;
        }
        if (queue.isEmpty() && closing) {
          return false;
        }
        if (queue.isEmpty() || holder != null) {
          awaitWork(runner);
          continue;
        }
        switch (decide(now)) {
          case Run(int rows) -> {
            queue.take(rows, now, runner.parts, runner.dropped);
            runner.dropped.forEach(timer::remove);
            running++;
            wakeForRest();
            return true;
          }
          case Hold(long until, int target) -> hold(runner, until - now, target);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** Books the batch that the runner has run, if it has. */
  private void finish(BatchRunner runner) {
    runner.dropped.clear();
    if (runner.parts.isEmpty()) {
      return;
    }
    for (Part part : runner.parts) {
      if (part.request.reply.isDone()) {
        timer.remove(part.request);
      }
    }
    runner.parts.clear();
    running--;
    if (runner.completedRows > 0) {
      speed.add(runner.completedRows, runner.completedNanos);
      try {
        policy.batchCompleted(runner.completedRows, runner.completedNanos, ticker.nanos());
      } catch (RuntimeException | Error e) {
        log.error("the batch policy of model '{}' failed", name, e);
      }
    }
  }

  /** Drops what nobody wants any more from the front, so that the policy sees a live one. */
  private void dropOver(BatchRunner runner, long now) {
    Request over = queue.firstIfOver(now);
    while (over != null) {
      queue.remove(over);
      timer.remove(over);
      runner.dropped.add(over);
      over = queue.firstIfOver(now);
    }
  }

  /** What is left in the queue is for the next idle runner. */
  private void wakeForRest() {
    if (!queue.isEmpty()) {
      wakeIdle();
    }
  }

  private void awaitWork(BatchRunner runner) {
    runner.idle = true;
    idle.addFirst(runner);
    queue.idleRunners(idle.size());
    while (runner.idle) {
      runner.wake.awaitUninterruptibly();
    }
  }

  private Decision decide(long now) {
    Run all = new Run(queue.frontRows());
    try {
      return switch (policy.decide(queue, now)) {
        case Run run -> run;
        case Hold hold ->
            closing || hold.untilNanos() - now <= 0 || queue.queuedRows() >= hold.targetRows()
                ? all
                : hold;
      };
    } catch (RuntimeException | Error e) {
      log.error("the batch policy of model '{}' failed", name, e);
      return all;
    }
  }

  private void hold(BatchRunner runner, long nanos, int target) {
    holder = runner;
    holdTarget = target;
    await(runner.wake, nanos);
    if (holder == runner) {
      holder = null;
    }
  }

  /** Waits for a signal; an interrupt, which nobody sends on purpose, ends it early. */
  @SuppressWarnings("WaitNotInLoop") // the callers look again what there is to do
  static void await(Condition condition, long nanos) {
    try {
      long _ = condition.awaitNanos(nanos);
    } catch (InterruptedException e) {
      log.debug("a thread of a batcher was interrupted", e);
    }
  }

  /** Takes a request out of the queue and frees its inputs; false if it does not wait. */
  boolean withdraw(Request request) {
    lock.lock();
    try {
      if (!queue.remove(request)) {
        return false;
      }
      timer.remove(request);
    } finally {
      lock.unlock();
    }
    request.release();
    return true;
  }

  /** Drops a request that its client gave up, if it waits. */
  void cancel(Request request) {
    if (withdraw(request)) {
      shed(request, ShedReason.CANCELLED);
    }
  }

  /** Frees and answers a request that left the queue because it was over. */
  void answerDropped(Request request) {
    request.release();
    if (request.reply.isDone()) {
      shed(request, ShedReason.CANCELLED);
    } else {
      shed(request, ShedReason.DEADLINE);
      request.fail(
          new InferenceException(
              ErrorCode.DEADLINE_EXCEEDED, "the deadline passed while the request waited"));
    }
  }

  /** Answers a request that is late while it runs; its inputs are freed when the run has ended. */
  void answerLate(Request request) {
    request.fail(
        new InferenceException(
            ErrorCode.DEADLINE_EXCEEDED, "the deadline passed while the request ran"));
  }

  /** Books a request that left the queue and is not run, unless a piece of it was. */
  private void shed(Request request, ShedReason reason) {
    if (request.rowsTaken == 0) {
      request.reply.queued(ticker.nanos() - request.acceptedNanos);
      listener.requestShed(reason);
    }
  }

  /** The model's outputs are not row by row: from now on every request runs alone. */
  void stopMerging(String reason) {
    lock.lock();
    try {
      if (!merging) {
        return;
      }
      merging = false;
      queue.stopMerging();
    } finally {
      lock.unlock();
    }
    log.warn("requests for model '{}' are not merged from now on: {}", name, reason);
  }

  /** Whether requests may share a batch. */
  boolean isMerging() {
    return merging;
  }

  /** How long the queue takes at the speed measured last. */
  Duration retryAfter() {
    lock.lock();
    try {
      double nanos = queue.queuedRows() * speed.nanosPerRow() / runners;
      if (nanos == 0) {
        return UNKNOWN_RETRY;
      }
      return nanos < LONGEST_RETRY.toNanos() ? Duration.ofNanos((long) nanos) : LONGEST_RETRY;
    } finally {
      lock.unlock();
    }
  }

  int queuedRequests() {
    lock.lock();
    try {
      return queue.requests();
    } finally {
      lock.unlock();
    }
  }

  int queuedRows() {
    lock.lock();
    try {
      return queue.queuedRows();
    } finally {
      lock.unlock();
    }
  }

  long queuedBytes() {
    lock.lock();
    try {
      return queue.bytes();
    } finally {
      lock.unlock();
    }
  }

  int runningBatches() {
    lock.lock();
    try {
      return running;
    } finally {
      lock.unlock();
    }
  }

  /** Answers what is late by the ticker; what the timer thread does when it wakes. */
  void expire() {
    timer.expire();
  }

  /** Refuses what comes from now on; the runners end when the queue is empty. */
  void drain() {
    lock.lock();
    try {
      closing = true;
      while (!idle.isEmpty()) {
        wakeIdle();
      }
      wakeHolder();
    } finally {
      lock.unlock();
    }
  }

  /** Ends the timer thread, after the runners have ended. */
  void stopTimer() {
    timer.close();
  }

  boolean isTimerThread() {
    return timer.isCurrentThread();
  }
}

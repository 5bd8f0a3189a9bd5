package dev.millrace.batcher;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.BatchRunner.Mode;
import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.BatchPolicy.Decision;
import dev.millrace.batcher.policy.BatchPolicy.Hold;
import dev.millrace.batcher.policy.BatchPolicy.Run;
import dev.millrace.batcher.policy.BatchPolicy.Trigger;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.Forecast;
import dev.millrace.batcher.policy.LearnedState;
import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jctools.queues.varhandle.MpscChunkedVarHandleArrayQueue;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands what waits to the runners, as the policy decides.
 *
 * <p>A submission takes no lock: it counts the request in the backlog, leaves it in the inbox, and
 * wakes a runner, or will, if one is idle. A runner takes the lock once a batch; under it, it moves
 * the inbox into the queue, asks the policy, and takes. Nothing is predicted, copied, completed or
 * told to the listener under the lock.
 *
 * <table>
 * <caption>What is shared, and how</caption>
 * <tr><td>backlog, inbox, a request's state</td><td>atomics; any thread</td></tr>
 * <tr><td>queue, heap of deadlines, policy, speed, running</td><td>the lock</td></tr>
 * <tr><td>holder, hold target, closing, merging, forecast</td><td>volatile, written under the lock
 * </td></tr>
 * <tr><td>a runner's mode, the count of idle ones</td><td>compare-and-set</td></tr>
 * </table>
 *
 * <p>No wake-up is lost (Dekker's pattern): a submission offers and then looks for an idle runner,
 * a runner says that it is idle and then looks into the inbox; each with a full fence between.
 * While all are busy nobody is woken. During a hold only the runner that holds is, once enough
 * waits. A runner that leaves something in the queue wakes the next one.
 */
final class Dispatcher {
  private static final Logger log = LoggerFactory.getLogger(Dispatcher.class);

  private static final Duration UNKNOWN_RETRY = Duration.ofSeconds(1);
  private static final Duration LONGEST_RETRY = Duration.ofMinutes(1);

  /** How long the cap stays low after a batch did not fit into memory. */
  private static final Duration LOWERED = Duration.ofSeconds(30);

  /** How often a runner lets others go first that have counted a request and not yet left it. */
  private static final int MOST_YIELDS = 100;

  /** Slots of the inbox's first chunk; it grows by as many. */
  private static final int INBOX_CHUNK = 1024;

  /** How long a wake-up may be put off; some dozens of small requests are read meanwhile. */
  private static final long LONGEST_PUT_OFF_NANOS = 500_000;

  private final String name;
  private final BatcherConfig config;
  private final BatchPolicy policy;
  private final Ticker ticker;
  private final BatchListener listener;
  private final Executor wakeUps;
  private final Runnable putOff = this::wakeAsPutOff;

  private final Backlog backlog;
  private final MpscChunkedVarHandleArrayQueue<Request> inbox;

  private final ReentrantLock lock = new ReentrantLock();
  private final RequestQueue queue;
  private final DeadlineTimer timer;
  private final MeasuredSpeed speed = new MeasuredSpeed();
  private final RetryBudget retries = new RetryBudget();
  private final PoisonMemory poison = new PoisonMemory();
  private final HungRuns hungRuns;
  private final Runners runners;

  /** Batches that were taken and have not ended; written under the lock. */
  private final AtomicInteger running = new AtomicInteger();

  /** Whether the cap is low, and until when. */
  private boolean lowered;

  private long loweredUntil;

  /** The runner that holds back; null if none does. */
  private volatile @Nullable BatchRunner holder;

  private volatile int holdTarget;

  /** When a runner last took a batch or ended one. */
  private volatile long movedNanos;

  /** Since when a wake-up is put off, 0 if none is; threads that race here put it off again. */
  private volatile long putOffSince;

  /** Whether a request was dropped since the queue was last tidied. */
  private volatile boolean untidy;

  private volatile boolean closing;
  private volatile boolean merging = true;
  private volatile Forecast forecast = Forecast.unknown();

  /**
   * @param policy may throw
   * @param listener must not throw
   * @param wakeUps see {@link Batcher.Builder#wakeUps}
   * @param onLost called under the lock with a runner that is lost
   */
  Dispatcher(
      String name,
      BatcherConfig config,
      BatchPolicy policy,
      BatchListener listener,
      Ticker ticker,
      Executor wakeUps,
      Consumer<BatchRunner> onLost) {
    this.name = name;
    this.config = config;
    this.policy = new GuardedPolicy(policy, name);
    this.listener = listener;
    this.wakeUps = wakeUps;
    this.ticker = ticker;
    this.hungRuns = new HungRuns(name, onLost);
    this.movedNanos = ticker.nanos();
    this.backlog = new Backlog(config);
    // A slot for each request that may wait, and as many for dropped ones that are still linked.
    int slots = (int) Math.min(1L << 25, Math.max(INBOX_CHUNK, config.queueLimit()) * 2L);
    this.inbox = new MpscChunkedVarHandleArrayQueue<>(INBOX_CHUNK, slots);
    this.queue = new RequestQueue(config, this.policy);
    this.runners = new Runners(lock, ticker);
    this.timer = new DeadlineTimer(this, name, lock, ticker);
  }

  String name() {
    return name;
  }

  Backlog backlog() {
    return backlog;
  }

  PoisonMemory poison() {
    return poison;
  }

  /** A runner that will ask for work. */
  void add(BatchRunner runner) {
    runners.add(runner);
  }

  /** Queues a request; null if it was accepted, else why not. Does not wait for anybody. */
  @Nullable ShedReason offer(Request request) {
    if (!backlog.reserve(request)) {
      return ShedReason.QUEUE_FULL;
    }
    if (closing) {
      backlog.release(request, request.waitingRows());
      runners.wakeAll(); // one may have gone to rest because of this one
      return ShedReason.CLOSING;
    }
    if (!inbox.offer(request) && !(tidy() && inbox.offer(request))) {
      backlog.release(request, request.waitingRows());
      return ShedReason.QUEUE_FULL;
    }
    VarHandle.fullFence();
    if (!request.deadline.isNone()) {
      timer.expect(request.deadline);
    }
    BatchRunner holding = holder;
    if (holding == null) {
      wakeSoon(request.acceptedNanos);
    } else if (backlog.rows() >= holdTarget) {
      boolean _ = runners.wake(holding, Mode.HOLDING);
    }
    if (request.acceptedNanos - movedNanos > HungRuns.LEAST_NANOS && running.get() > 0) {
      lookForHungRuns();
    }
    return null;
  }

  /** Wakes a runner, if one is idle, when the calling thread has time for it. */
  private void wakeSoon(long nowNanos) {
    if (runners.idle() == 0) {
      return;
    }
    long since = putOffSince;
    if (since == 0) {
      putOffSince = nowNanos;
    } else if (nowNanos - since > LONGEST_PUT_OFF_NANOS) {
      wakeAsPutOff();
      return;
    }
    wakeUps.execute(putOff);
  }

  private void wakeAsPutOff() {
    putOffSince = 0;
    VarHandle.fullFence();
    if (!backlog.isEmpty()) { // else a runner has been there meanwhile
      boolean _ = runners.wakeIdle();
    }
  }

  /** Makes room in an inbox that is full of dropped requests, if nobody else is at it. */
  private boolean tidy() {
    if (!lock.tryLock()) {
      return false;
    }
    try {
      takeIn();
    } finally {
      lock.unlock();
    }
    return true;
  }

  /**
   * What is left in the queue is for the next runner.
   *
   * @param oneMore whether one more may run than do now
   */
  private void wakeForRest(boolean oneMore) {
    if (holder == null && !runners.wakeIdle() && oneMore) {
      boolean _ = runners.wakeOne(Mode.CAPPED);
    }
  }

  /**
   * Called by a runner after each batch: waits until there is something for it, and puts that into
   * its {@code parts}, {@code over} and {@code sacrificed}, some of which may be empty. False when
   * it shall end.
   */
  boolean next(BatchRunner runner) {
    boolean more;
    boolean rest;
    boolean oneMore;
    lock.lock();
    try {
      more = findWork(runner);
      rest = !queue.isEmpty();
      oneMore = rest && running.get() < policy.concurrency();
      runner.over.forEach(timer.heap()::remove);
      runner.sacrificed.forEach(timer.heap()::remove);
    } finally {
      lock.unlock();
    }
    if (!more) {
      runners.wakeAll(); // the others end too
    } else if (rest) {
      wakeForRest(oneMore);
    }
    return more;
  }

  private boolean findWork(BatchRunner runner) {
    Trigger trigger = finish(runner) ? Trigger.COMPLETION : Trigger.ARRIVAL;
    while (!runner.isLost()) {
      takeIn();
      long now = ticker.nanos();
      keepToBounds(now);
      boolean waiting = queue.selectFront();
      while (waiting && queue.first().isOver(now)) {
        runner.over.addAll(queue.remove(0, 1));
        waiting = queue.selectFront();
      }
      if (!runner.over.isEmpty()) {
        leaveDevice(runner);
        return true;
      }
      if (!waiting && closing && backlog.isEmpty()) {
        leaveDevice(runner);
        return false;
      }
      if (!waiting || holder != null) {
        rest(runner, Mode.IDLE);
        trigger = Trigger.ARRIVAL;
      } else if (running.get() >= policy.concurrency()) {
        rest(runner, Mode.CAPPED);
        trigger = Trigger.ARRIVAL;
      } else if (enterDevice(runner)) {
        switch (decide(trigger, now)) {
          case Run run -> {
            if (take(run, runner, now)) {
              return true;
            }
          }
          case Hold(long until, int target) -> trigger = hold(runner, until, target);
        }
      }
    }
    return false;
  }

  /** Lets the queue know of the bounds that failures have set for a while. */
  private void keepToBounds(long now) {
    queue.merging(merging && !retries.isPausing(now));
    if (lowered && now - loweredUntil >= 0) {
      lowered = false;
      queue.maxBatchSize(config.maxBatchSize());
    }
  }

  /** A batch of so many rows did not fit into memory: for a while, half of it is the most. */
  void outOfMemory(int rows) {
    lock.lock();
    try {
      int cap = Math.max(1, Math.min(queue.maxBatchSize(), rows / 2));
      if (queue.maxBatchSize() > cap) {
        queue.maxBatchSize(cap);
        log.warn(
            "model '{}' ran out of memory with {} rows: no more than {} at once for {} s",
            name,
            rows,
            cap,
            LOWERED.toSeconds());
      }
      lowered = true;
      loweredUntil = ticker.nanos() + LOWERED.toNanos();
    } finally {
      lock.unlock();
    }
  }

  /** Books the batch that the runner has run; false if it has not. */
  private boolean finish(BatchRunner runner) {
    runner.over.clear();
    runner.sacrificed.clear();
    if (runner.parts.isEmpty()) {
      return false;
    }
    for (Part part : runner.parts) {
      if (part.request.reply.isDone()) {
        timer.heap().remove(part.request);
      }
    }
    runner.parts.clear();
    long now = ticker.nanos();
    long busy = now - runner.startedNanos;
    movedNanos = now;
    hungRuns.ended(runner, busy);
    if (runner.isLost()) {
      return false;
    }
    running.decrementAndGet();
    runner.place.used(busy);
    hungRuns.look(runners.all(), now, this::lose);
    boolean well = runner.completedRows == runner.rows;
    if (well) {
      speed.add(runner.rows, busy);
    }
    retries.spent(busy, runner.retryNanos, now);
    policy.completed(runner.shape, runner.rows, runner.startedNanos, well ? busy : 0, now);
    Forecast learned = policy.forecast();
    forecast =
        learned.nanosPerRow() > 0
            ? learned
            : new Forecast(speed.nanosPerRow() / runners.all().size(), learned.runNanos());
    return true;
  }

  /** A runner's run is not expected back: the others go on without it. */
  private void lose(BatchRunner runner, long busyNanos) {
    runner.lose();
    running.decrementAndGet();
    runner.place.used(busyNanos);
    leaveDevice(runner);
  }

  /** Looks for runs that do not come back. */
  void lookForHungRuns() {
    lock.lock();
    try {
      hungRuns.look(runners.all(), ticker.nanos(), this::lose);
    } finally {
      lock.unlock();
    }
  }

  int hungRuns() {
    return hungRuns.count();
  }

  /** Moves what was submitted into the queue, and unlinks what was dropped. Under the lock. */
  void takeIn() {
    if (untidy) {
      untidy = false;
      queue.removeDropped(timer.heap());
    }
    for (Request request = inbox.poll(); request != null; request = inbox.poll()) {
      if (request.isWaiting()) {
        queue.add(request);
        if (!request.deadline.isNone()) {
          timer.heap().add(request);
        }
      }
    }
  }

  /** Waits until somebody wakes the runner; the lock is free meanwhile. */
  private void rest(BatchRunner runner, Mode mode) {
    leaveDevice(runner);
    runners.settle(runner, mode);
    if (mode == Mode.IDLE) {
      boolean missed = holder == null && (!inbox.isEmpty() || (closing && backlog.isEmpty()));
      if (missed && runners.wake(runner, mode)) {
        return;
      }
    }
    runners.park(runner, mode, Long.MAX_VALUE);
  }

  /** Holds back; what made an end of it. */
  private Trigger hold(BatchRunner runner, long untilNanos, int target) {
    leaveDevice(runner);
    holdTarget = target;
    runner.mode.set(Mode.HOLDING);
    holder = runner;
    VarHandle.fullFence();
    if (backlog.rows() < target && !closing) {
      runners.park(runner, Mode.HOLDING, untilNanos);
    }
    runner.mode.set(Mode.WORKING);
    boolean reached = backlog.rows() >= target;
    if (reached) {
      takeInAll(target);
    }
    holder = null;
    return reached ? Trigger.HOLD_TARGET : Trigger.HOLD_TIMEOUT;
  }

  /**
   * A request is counted before it is in the inbox: lets those who are about to leave theirs there
   * do it, so that all that a hold was for come along.
   */
  @SuppressWarnings("ThreadPriorityCheck") // what is waited for is a few instructions away
  private void takeInAll(int rows) {
    takeIn();
    for (int i = 0; i < MOST_YIELDS && queue.totalRows() < rows; i++) {
      lock.unlock();
      try {
        Thread.yield();
      } finally {
        lock.lock();
      }
      takeIn();
    }
  }

  /**
   * Takes a place on the runner's device; false if that took waiting, so that everything may have
   * changed. Meanwhile a runner on another device may run what is there.
   */
  private boolean enterDevice(BatchRunner runner) {
    DeviceArbiter.Share device = runner.group().device();
    if (device == null
        || runner.place.isFresh()
        || !(runner.place.isHeld() || device.isContended())
        || device.ask(runner.place)) {
      return true;
    }
    boolean _ = runners.wakeIdleBeside(runner.group());
    lock.unlock();
    try {
      device.await(runner.place);
    } finally {
      lock.lock();
    }
    return false;
  }

  private void leaveDevice(BatchRunner runner) {
    DeviceArbiter.Share device = runner.group().device();
    if (device != null && runner.place.isHeld()) {
      device.leave(runner.place);
    }
  }

  private Decision decide(Trigger trigger, long now) {
    queue.runners(runners.idle(), running.get());
    Decision decision = policy.decide(queue, trigger, now);
    if (decision instanceof Hold(long until, int target)
        && (closing || until - now <= 0 || queue.totalRows() >= target)) {
      return new Run(0, queue.rows(), DispatchReason.DRAIN);
    }
    return decision;
  }

  /** Does what was decided; false if nobody wanted what was there. */
  private boolean take(Run run, BatchRunner runner, long now) {
    if (run.shed() > 0) {
      runner.sacrificed.addAll(queue.remove(run.kept(), run.shed()));
    }
    if (!queue.frontIsEmpty()) {
      runner.shape = queue.take(run.rows(), now, runner.parts, runner.over);
    }
    if (runner.parts.isEmpty()) {
      return !runner.over.isEmpty() || !runner.sacrificed.isEmpty();
    }
    int rows = 0;
    for (Part part : runner.parts) {
      rows += Math.max(1, part.rows);
      if (part.isLast()) {
        backlog.release(part.request, Math.max(1, part.rows));
      } else {
        backlog.releaseRows(part.rows);
      }
    }
    runner.rows = rows;
    runner.reason = run.reason();
    runner.startedNanos = now;
    movedNanos = now;
    running.incrementAndGet();
    policy.started(runner.shape, rows, now);
    return true;
  }

  /** Drops a request that its client gave up; false if it does not wait. From any thread. */
  boolean cancel(Request request) {
    boolean waited = drop(request);
    if (waited) {
      shed(request, ShedReason.CANCELLED);
    }
    return waited;
  }

  /** A request that runs was answered: ends the runs that nobody waits for. From any thread. */
  void abandonUnwanted() {
    runners.all().forEach(BatchRunner::abandonIfUnwanted);
  }

  /** Drops a request if it waits, and remembers that it has to be unlinked. From any thread. */
  boolean drop(Request request) {
    if (!request.drop()) {
      return false;
    }
    untidy = true;
    return true;
  }

  /** Drops and answers a request that is over: given up by its client, or too late. */
  void expire(Request request) {
    boolean waited = drop(request);
    if (request.reply.isDone()) {
      if (waited) {
        shed(request, ShedReason.CANCELLED);
      }
      return;
    }
    if (waited) {
      shed(request, ShedReason.DEADLINE);
    }
    request.fail(
        new InferenceException(
            ErrorCode.DEADLINE_EXCEEDED,
            waited
                ? "the deadline passed while the request waited"
                : "the deadline passed while the request ran"));
    if (!waited) {
      abandonUnwanted();
    }
  }

  /** Drops and answers a request that the policy gave up so that others can be in time. */
  void sacrifice(Request request) {
    if (drop(request)) {
      shed(request, ShedReason.OVERLOAD);
      request.fail(
          InferenceException.unavailable(
              "model '%s' has more requests than it can answer in time".formatted(name),
              retryAfter()));
    }
  }

  /** Books a request that left the queue and is not run, unless a piece of it was. */
  private void shed(Request request, ShedReason reason) {
    if (!request.hasStarted()) {
      request.reply.queued(ticker.nanos() - request.acceptedNanos);
      listener.requestShed(reason);
    }
  }

  /** The model's outputs are not row by row: from now on every request runs alone. */
  void stopMerging(String reason) {
    if (merging) {
      merging = false;
      log.warn("requests for model '{}' are not merged from now on: {}", name, reason);
    }
  }

  /** Whether requests may share a batch. */
  boolean isMerging() {
    return merging;
  }

  /** What a request that comes now has to expect. */
  Forecast forecast() {
    return forecast;
  }

  /** What the policy has learned. */
  Optional<LearnedState> learned() {
    lock.lock();
    try {
      return policy.learned();
    } finally {
      lock.unlock();
    }
  }

  /** How long the queue takes, as the policy has learned or at the speed measured last. */
  Duration retryAfter() {
    long nanos = forecast.waitNanos(backlog.rows());
    if (nanos == 0) {
      return UNKNOWN_RETRY;
    }
    return nanos < LONGEST_RETRY.toNanos() ? Duration.ofNanos(nanos) : LONGEST_RETRY;
  }

  int runningBatches() {
    return running.get();
  }

  int idleRunners() {
    return runners.idle();
  }

  /** Answers what is late by the ticker; what the timer thread does when it wakes. */
  void expire() {
    timer.expire();
  }

  /** Refuses what comes from now on; the runners end when the queue is empty. */
  void drain() {
    closing = true;
    VarHandle.fullFence();
    runners.wakeAll();
  }

  /** Ends the timer thread, after the runners have ended. */
  void stopTimer() {
    timer.close();
  }

  boolean isTimerThread() {
    return timer.isCurrentThread();
  }
}

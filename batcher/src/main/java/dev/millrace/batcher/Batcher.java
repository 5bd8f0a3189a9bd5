package dev.millrace.batcher;

import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import dev.millrace.batcher.BatchPolicy.Decision;
import dev.millrace.batcher.BatchPolicy.Hold;
import dev.millrace.batcher.BatchPolicy.Run;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Merges the requests for one model into batches: a free runner takes what waits, so batches grow
 * by themselves under load and a lone request waits for nobody. Thread-safe.
 *
 * <p><b>Threads.</b> Any thread submits and cancels. One runner per predictor, a platform thread,
 * takes and runs batches; one timer thread, started with the first deadline, answers the requests
 * that are late. All three kinds complete replies.
 *
 * <p><b>Lock.</b> One lock guards the queue, the heap of deadlines, the idle runners and the
 * policy. A submission takes it once, a runner once a batch. Nothing is predicted, copied, closed,
 * completed or told to the listener under it. A submission wakes a runner only if one is idle.
 *
 * <p><b>Ownership.</b> The inputs of an accepted request are the queue's, then the runner's that
 * took it, and are closed before its reply completes; only a deadline or a cancellation during the
 * run answers earlier, and the inputs are closed when the run has ended.
 */
public final class Batcher implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Batcher.class);

  /** What a batch keeps of its weight in the measured speed when the next one ends. */
  private static final double SPEED_DECAY = 0.9;

  private static final Duration UNKNOWN_RETRY = Duration.ofSeconds(1);
  private static final Duration LONGEST_RETRY = Duration.ofMinutes(1);

  private final String name;
  private final BatcherConfig config;
  private final BatchPolicy policy;
  private final BatchListener listener;
  private final Ticker ticker;
  private final List<Thread> threads = new ArrayList<>();

  /** The key of the latest request; a stale one costs an allocation, so it needs no fence. */
  private BatchKey recentKey = BatchKey.none();

  private volatile boolean merging = true;

  private final ReentrantLock lock = new ReentrantLock();
  private final RequestQueue queue;
  private final DeadlineTimer timer;
  private final ArrayDeque<BatchRunner> idle = new ArrayDeque<>();
  private @Nullable BatchRunner holder;
  private int holdTarget;
  private int running;
  private boolean closing;
  private double recentRows;
  private double recentNanos;

  private Batcher(
      String name,
      BatcherConfig config,
      BatchPolicy policy,
      BatchListener listener,
      Ticker ticker) {
    this.name = name;
    this.config = config;
    this.policy = policy;
    this.listener = listener;
    this.ticker = ticker;
    this.queue = new RequestQueue(config.maxBatchSize());
    this.timer = new DeadlineTimer(name, lock, queue, ticker, this);
  }

  /**
   * Starts one runner, a daemon thread named {@code <name>-runner-<n>}, per predictor. The batcher
   * takes the predictors over and closes them when it has drained.
   *
   * @param name of the model, for messages and thread names
   * @param predictors at least one
   */
  public static Batcher start(
      String name,
      BatcherConfig config,
      List<Predictor> predictors,
      BatchPolicy policy,
      BatchListener listener,
      Ticker ticker) {
    if (predictors.isEmpty()) {
      throw new IllegalArgumentException("a batcher needs a predictor");
    }
    Batcher batcher = new Batcher(name, config, policy, listener, ticker);
    for (Predictor predictor : predictors) {
      BatchRunner runner = new BatchRunner(batcher, predictor, batcher.lock.newCondition());
      batcher.threads.add(
          Thread.ofPlatform()
              .name("%s-runner-%d".formatted(name, batcher.threads.size()))
              .daemon()
              .unstarted(runner));
    }
    batcher.threads.forEach(Thread::start);
    return batcher;
  }

  /**
   * Queues a request. When accepted, the inputs are the batcher's; when this throws, they stay the
   * caller's. Does not block.
   *
   * @param inputs agreeing in dimension 0, if the batcher merges; checked against the model before
   * @param requestedOutputs names of the outputs to compute; empty for all
   * @throws InferenceException RESOURCE_EXHAUSTED with a time to come back if the queue is full,
   *     DEADLINE_EXCEEDED if it is late already, UNAVAILABLE while closing, INVALID_ARGUMENT if the
   *     inputs do not agree in dimension 0, or are more than one batch of a model whose outputs
   *     cannot be joined
   */
  public Reply submit(TensorMap inputs, List<String> requestedOutputs, Deadline deadline) {
    Request request = request(inputs, List.copyOf(requestedOutputs), deadline);
    if (deadline.isExpired(request.acceptedNanos)) {
      shed(ShedReason.DEADLINE);
      throw new InferenceException(
          ErrorCode.DEADLINE_EXCEEDED, "the deadline had passed when the request came");
    }
    ShedReason refusal = offer(request);
    if (refusal == null) {
      return request.reply;
    }
    shed(refusal);
    throw refusal == ShedReason.CLOSING
        ? InferenceException.unavailable("model '%s' is shutting down".formatted(name))
        : InferenceException.exhausted(
            "the queue of model '%s' is full".formatted(name), retryAfter());
  }

  private Request request(TensorMap inputs, List<String> requestedOutputs, Deadline deadline) {
    int max = config.maxBatchSize();
    boolean counted = max > 0 && !inputs.isEmpty();
    int rows = counted ? rows(inputs, max) : 1;
    boolean oversized = counted && rows > max;
    if (oversized && !merging) {
      throw InferenceException.invalidArgument(
          tooLarge(rows) + ", and the outputs of the model cannot be joined");
    }
    BatchKey key = counted ? key(inputs, requestedOutputs) : BatchKey.none();
    return new Request(
        this,
        key,
        inputs,
        requestedOutputs,
        deadline,
        ticker.nanos(),
        rows,
        !counted || rows == 0,
        oversized);
  }

  private static int rows(TensorMap inputs, int max) {
    long rows = -1;
    long bytes = 0;
    for (int i = 0; i < inputs.size(); i++) {
      Shape shape = inputs.tensor(i).shape();
      if (shape.rank() == 0) {
        throw InferenceException.invalidArgument(
            "input '%s' is a scalar, but dimension 0 of every input is the batch"
                .formatted(inputs.name(i)));
      }
      if (i > 0 && shape.dim(0) != rows) {
        throw InferenceException.invalidArgument(
            "input '%s' has %d rows and input '%s' has %d"
                .formatted(inputs.name(0), rows, inputs.name(i), shape.dim(0)));
      }
      rows = shape.dim(0);
      bytes += inputs.tensor(i).byteSize();
    }
    // Rows without elements cost a client nothing to send, but their batches would all be run.
    if (rows > max && bytes == 0) {
      throw InferenceException.invalidArgument("the inputs have %d empty rows".formatted(rows));
    }
    return Math.toIntExact(rows);
  }

  private BatchKey key(TensorMap inputs, List<String> requestedOutputs) {
    BatchKey recent = recentKey;
    if (recent.matches(inputs, requestedOutputs)) {
      return recent;
    }
    BatchKey key = BatchKey.of(inputs, requestedOutputs);
    recentKey = key;
    return key;
  }

  /** Null if the request was accepted. */
  private @Nullable ShedReason offer(Request request) {
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
        holder.wake.signal();
        holder = null;
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
        for (Request over = queue.firstIfOver(now); over != null; over = queue.firstIfOver(now)) {
          queue.remove(over);
          timer.remove(over);
          runner.dropped.add(over);
        }
        if (!runner.dropped.isEmpty()) {
          wakeAnother();
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
            wakeAnother();
            return true;
          }
          case Hold(long until, int target) -> hold(runner, until - now, target);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** What is left in the queue is for the next idle runner. */
  private void wakeAnother() {
    if (!queue.isEmpty()) {
      wakeIdle();
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
      recentRows = recentRows * SPEED_DECAY + runner.completedRows;
      recentNanos = recentNanos * SPEED_DECAY + runner.completedNanos;
      try {
        policy.batchCompleted(runner.completedRows, runner.completedNanos, ticker.nanos());
      } catch (RuntimeException | Error e) {
        log.error("the batch policy of model '{}' failed", name, e);
      }
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
      Decision decision = policy.decide(queue, now);
      return switch (decision) {
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
  static void await(Condition condition, long nanos) {
    try {
      long unused = condition.awaitNanos(nanos);
    } catch (InterruptedException e) {
      log.debug("a thread of a batcher was interrupted", e);
    }
  }

  /** Drops a request that its client gave up, if it waits. */
  void cancel(Request request) {
    if (withdraw(request)) {
      shed(request, ShedReason.CANCELLED);
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
  private Duration retryAfter() {
    lock.lock();
    try {
      if (recentRows == 0) {
        return UNKNOWN_RETRY;
      }
      double nanos = queue.queuedRows() * (recentNanos / recentRows) / threads.size();
      return nanos < LONGEST_RETRY.toNanos() ? Duration.ofNanos((long) nanos) : LONGEST_RETRY;
    } finally {
      lock.unlock();
    }
  }

  String tooLarge(int rows) {
    return "the request has %d rows, more than the %d of one batch"
        .formatted(rows, config.maxBatchSize());
  }

  String name() {
    return name;
  }

  long nanos() {
    return ticker.nanos();
  }

  /** Books a request that left the queue without being taken, or with pieces still waiting. */
  private void shed(Request request, ShedReason reason) {
    if (request.rowsTaken == 0) {
      request.reply.queued(ticker.nanos() - request.acceptedNanos);
      shed(reason);
    }
  }

  private void shed(ShedReason reason) {
    tell(() -> listener.requestShed(reason));
  }

  void started(long queueNanos) {
    tell(() -> listener.requestStarted(queueNanos));
  }

  void completed(int requests, int rows, long computeNanos) {
    tell(() -> listener.batchCompleted(requests, rows, computeNanos));
  }

  void failed(int requests, int rows) {
    tell(() -> listener.batchFailed(requests, rows));
  }

  private void tell(Runnable event) {
    try {
      event.run();
    } catch (RuntimeException | Error e) {
      log.error("the batch listener of model '{}' failed", name, e);
    }
  }

  /** Answers what is late by the ticker; what the timer thread does when it wakes. */
  void expire() {
    timer.expire();
  }

  /** Requests that wait. */
  public int queuedRequests() {
    lock.lock();
    try {
      return queue.requests();
    } finally {
      lock.unlock();
    }
  }

  /** Rows that wait. */
  public int queuedRows() {
    lock.lock();
    try {
      return queue.queuedRows();
    } finally {
      lock.unlock();
    }
  }

  /** Bytes of the inputs that wait. */
  public long queuedBytes() {
    lock.lock();
    try {
      return queue.bytes();
    } finally {
      lock.unlock();
    }
  }

  /** Batches that run. */
  public int runningBatches() {
    lock.lock();
    try {
      return running;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Stops accepting, finishes what was accepted, stops the runners and closes the predictors;
   * returns when all that is done, on a second call too. Not interruptible.
   *
   * @throws IllegalStateException if called by a dependent of a reply on a thread of the batcher's,
   *     which it would wait for
   */
  @Override
  public void close() {
    if (threads.contains(Thread.currentThread()) || timer.isCurrentThread()) {
      throw new IllegalStateException("a batcher cannot be closed by one of its own threads");
    }
    lock.lock();
    try {
      closing = true;
      while (!idle.isEmpty()) {
        wakeIdle();
      }
      if (holder != null) {
        holder.wake.signal();
        holder = null;
      }
    } finally {
      lock.unlock();
    }
    threads.forEach(Batcher::join);
    timer.close();
  }

  static void join(Thread thread) {
    boolean interrupted = false;
    while (true) {
      try {
        thread.join();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}

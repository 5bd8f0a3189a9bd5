package dev.millrace.batcher;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import dev.millrace.batcher.policy.DispatchReason;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The thread that drives one predictor: takes a batch, concatenates its inputs, predicts, splits
 * the outputs, answers; until the batcher has drained. Nothing that a predictor throws ends it.
 *
 * <p>A batch of one request goes through without a copy. A merged batch that fails runs again in
 * halves, so one guilty request among n costs at most 2 log2 n further runs and no other request
 * its answer.
 */
final class BatchRunner {
  private static final Logger log = LoggerFactory.getLogger(BatchRunner.class);

  /** What a runner is about. Whoever wakes one wins a compare-and-set away from its mode. */
  enum Mode {
    /** It takes or runs a batch. */
    WORKING,
    /** Nothing is there for it. */
    IDLE,
    /** As many batches run as may. */
    CAPPED,
    /** It lets a batch grow. */
    HOLDING
  }

  final AtomicReference<Mode> mode = new AtomicReference<>(Mode.WORKING);

  /** What it took; filled and emptied by {@link Dispatcher#next} on this thread. */
  final List<Part> parts = new ArrayList<>();

  /** Requests that were over before they were taken; filled and emptied alike. */
  final List<Request> over = new ArrayList<>();

  /** Requests that the policy gave up; filled and emptied alike. */
  final List<Request> sacrificed = new ArrayList<>();

  /** Its place on a device that is shared. */
  final DeviceArbiter.Place place = new DeviceArbiter.Place();

  /** Of the batch that was taken last: its shape, rows, reason and time. */
  int shape;

  int rows;
  DispatchReason reason = DispatchReason.DRAIN;
  long startedNanos;

  /** Rows of the batch that was taken last; 0 if it did not run well as a whole. */
  int completedRows;

  /** How long halves of it ran again. */
  long retryNanos;

  private volatile boolean lost;
  private final Thread thread;
  private final Dispatcher dispatcher;
  private final RunnerGroup group;
  private final Supplier<? extends Predictor> predictors;
  private @Nullable Predictor predictor;
  private final RowMerger merger;
  private final BatchListener listener;
  private final Ticker ticker;

  /** What the predictor runs; null while it does not. Guarded by this object's monitor. */
  private @Nullable List<Part> running;

  /** Whether it was told that nobody waits for that. Guarded likewise. */
  private boolean abandoned;

  /** Of the run under way. */
  private long mergeNanos;

  private long computeNanos;

  /**
   * @param threadName of its thread, which {@link #start} starts
   * @param group where it runs
   * @param predictors asked once, on the thread; what it makes is taken over
   * @param merger taken over
   * @param listener must not throw
   */
  BatchRunner(
      String threadName,
      Dispatcher dispatcher,
      RunnerGroup group,
      Supplier<? extends Predictor> predictors,
      RowMerger merger,
      BatchListener listener,
      Ticker ticker) {
    this.dispatcher = dispatcher;
    this.group = group;
    this.predictors = predictors;
    this.merger = merger;
    this.listener = listener;
    this.ticker = ticker;
    this.thread = Thread.ofPlatform().name(threadName).daemon().unstarted(this::run);
  }

  void start() {
    thread.start();
  }

  Thread thread() {
    return thread;
  }

  RunnerGroup group() {
    return group;
  }

  /** Whether its run has not come back for so long that nothing is expected of it. */
  boolean isLost() {
    return lost;
  }

  /** Under the batcher's lock. */
  void lose() {
    lost = true;
  }

  private void run() {
    try {
      Predictor own = predictors.get();
      predictor = own;
      while (runNext()) {}
      own.close();
    } catch (Throwable e) {
      log.warn("an instance of model '{}' failed", dispatcher.name(), e);
    }
    merger.close();
  }

  /** Takes and runs one batch; false if there is none to come. */
  private boolean runNext() {
    try {
      if (!dispatcher.next(this)) {
        return false;
      }
      over.forEach(dispatcher::expire);
      sacrificed.forEach(dispatcher::sacrifice);
      completedRows = 0;
      retryNanos = 0;
      if (!parts.isEmpty()) {
        tellStarted();
        run(parts);
      }
    } catch (Throwable e) {
      // Not the predictor's: no memory to split the outputs, for one. The thread has to go on.
      log.error("a batch of model '{}' failed around the predictor", dispatcher.name(), e);
      for (Part part : parts) {
        if (!part.isEnded()) {
          part.fail(e);
        }
      }
    }
    return true;
  }

  private void tellStarted() {
    for (Part part : parts) {
      if (part.from == 0) {
        long queueNanos = startedNanos - part.request.acceptedNanos;
        part.request.reply.queued(queueNanos);
        listener.requestStarted(queueNanos);
      }
    }
    listener.batchStarted(reason, parts.size(), rows, merger.paddedRows(rows) - rows);
  }

  private void run(List<Part> candidates) {
    List<Part> batch = withoutAnswered(candidates);
    if (batch.isEmpty()) {
      return;
    }
    int batchRows = rows(batch);
    for (Part part : batch) {
      part.request.reply.batched(batchRows);
    }
    TensorMap outputs;
    try {
      outputs = predict(batch, batchRows);
    } catch (Throwable e) {
      if (isUnwanted(batch)) { // told to end, most likely, and nothing to run again for
        batch.forEach(part -> part.fail(e));
        return;
      }
      listener.batchFailed(batch.size(), batchRows);
      isolate(batch, batchRows, e);
      return;
    }
    if (batch.size() == parts.size()) {
      completedRows = batchRows;
    }
    group.onRun().accept(computeNanos);
    listener.batchCompleted(batch.size(), batchRows, computeNanos);
    answer(batch, batchRows, outputs);
  }

  private static List<Part> withoutAnswered(List<Part> candidates) {
    List<Part> batch = new ArrayList<>(candidates.size());
    for (Part part : candidates) {
      if (part.request.reply.isDone()) {
        part.drop();
      } else {
        batch.add(part);
      }
    }
    return batch;
  }

  private static int rows(List<Part> batch) {
    int sum = 0;
    for (Part part : batch) {
      sum += part.rows;
    }
    return sum;
  }

  private TensorMap predict(List<Part> batch, int batchRows) {
    if (isUnchanged(batch, batchRows)) {
      mergeNanos = 0;
      return predict(batch, batch.getFirst().inputs());
    }
    long start = ticker.nanos();
    try (TensorMap merged = merger.merge(batch, batchRows)) {
      mergeNanos = ticker.nanos() - start;
      return predict(batch, merged);
    }
  }

  /** Whether the model is given the inputs as they came, without a copy. */
  private boolean isUnchanged(List<Part> batch, int batchRows) {
    return batch.size() == 1
        && (batch.getFirst().request.alone || merger.paddedRows(batchRows) == batchRows);
  }

  private TensorMap predict(List<Part> batch, TensorMap inputs) {
    Request first = batch.getFirst().request;
    long start = ticker.nanos();
    begin(batch);
    try {
      return requireNonNull(
          requireNonNull(predictor).predict(inputs, first.requestedOutputs, first.parameters),
          "the predictor returned null");
    } finally {
      end();
      computeNanos = ticker.nanos() - start;
      // An interrupt that an engine left behind is not for the batcher.
      boolean _ = Thread.interrupted();
    }
  }

  /**
   * The predictor is about to run this. Whoever answers the last of its requests meanwhile comes by
   * {@link #abandonIfUnwanted}; whoever did it before is seen here.
   *
   * @throws InferenceException CANCELLED if nobody waits for it
   */
  private synchronized void begin(List<Part> batch) {
    if (isUnwanted(batch)) {
      throw new InferenceException(ErrorCode.CANCELLED, "nobody waits for the answers any more");
    }
    running = batch;
    abandoned = false;
  }

  private synchronized void end() {
    running = null;
  }

  /** Tells the predictor to end its run if nobody waits for any of it. From any thread. */
  synchronized void abandonIfUnwanted() {
    if (running != null && !abandoned && predictor != null && isUnwanted(running)) {
      abandoned = true;
      predictor.abandon();
    }
  }

  private static boolean isUnwanted(List<Part> batch) {
    for (Part part : batch) {
      if (!part.request.reply.isDone()) {
        return false;
      }
    }
    return true;
  }

  /** Runs the halves of a failed batch, so that only the guilty fail. */
  private void isolate(List<Part> batch, int batchRows, Throwable failure) {
    boolean outOfMemory = isOutOfMemory(failure);
    if (outOfMemory) {
      dispatcher.outOfMemory(batchRows);
    }
    if (batch.size() == 1) {
      if (parts.size() > 1 && !outOfMemory) {
        dispatcher.poison().add(batch.getFirst().inputs(), ticker.nanos());
      }
      batch.getFirst().fail(failure);
      return;
    }
    long start = ticker.nanos();
    int middle = batch.size() / 2;
    run(batch.subList(0, middle));
    run(batch.subList(middle, batch.size()));
    retryNanos = ticker.nanos() - start; // the outermost halves end last
  }

  private static boolean isOutOfMemory(Throwable failure) {
    return failure instanceof OutOfMemoryError
        || (failure instanceof InferenceException known
            && known.code() == ErrorCode.RESOURCE_EXHAUSTED);
  }

  private void answer(List<Part> batch, int batchRows, TensorMap outputs) {
    long nanos = computeNanos;
    Part only = batch.size() == 1 ? batch.getFirst() : null;
    if (only != null && only.isWhole() && (only.request.alone || !dispatcher.isMerging())) {
      tellFinished(batch, batchRows, 0);
      only.succeed(outputs, nanos);
      return;
    }
    String obstacle = merger.whyNotSplittable(outputs, batchRows);
    if (obstacle != null) {
      dispatcher.stopMerging(obstacle);
      answerUnsplit(batch, batchRows, only, outputs, obstacle);
      return;
    }
    if (only != null && isUnchanged(batch, batchRows)) {
      tellFinished(batch, batchRows, 0);
      only.succeed(outputs, nanos);
      return;
    }
    long start = ticker.nanos();
    List<TensorMap> results = merger.split(batch, outputs);
    tellFinished(batch, batchRows, ticker.nanos() - start);
    for (int i = 0; i < batch.size(); i++) {
      batch.get(i).succeed(results.get(i), nanos);
    }
  }

  private void tellFinished(List<Part> batch, int batchRows, long splitNanos) {
    int begun = 0;
    long queueNanos = 0;
    for (Part part : batch) {
      if (part.from == 0) {
        begun++;
        queueNanos += part.request.reply.queueNanos();
      }
    }
    listener.batchFinished(
        new BatchTimes(
            begun, batch.size(), batchRows, queueNanos, mergeNanos, computeNanos, splitNanos));
  }

  /** The outputs are not row by row: right for a whole request, useless for any other batch. */
  private void answerUnsplit(
      List<Part> batch, int batchRows, @Nullable Part only, TensorMap outputs, String obstacle) {
    if (only != null && only.isWhole()) {
      tellFinished(batch, batchRows, 0);
      only.succeed(outputs, computeNanos);
      return;
    }
    outputs.close();
    if (only != null) {
      only.fail(
          new InferenceException(
              ErrorCode.INVALID_ARGUMENT,
              "the request has %d rows, more than one batch takes, and its outputs cannot be joined: %s"
                  .formatted(only.request.rows, obstacle)));
      return;
    }
    for (Part part : batch) {
      run(List.of(part));
    }
  }
}

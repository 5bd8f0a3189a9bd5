package dev.millrace.batcher;

import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.Forecast;
import dev.millrace.batcher.policy.LearnedState;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.function.Supplier;

/**
 * Merges the requests for one model into batches: a free runner takes what waits, so batches grow
 * by themselves under load and a lone request waits for nobody. Thread-safe.
 *
 * <p><b>Threads.</b> Any thread submits and cancels. One runner per predictor, a platform thread,
 * takes and runs batches; one timer thread, started with the first deadline, answers the requests
 * that are late. All three complete replies.
 *
 * <p><b>Ownership.</b> The inputs of an accepted request are the queue's, then the runner's that
 * took it, and are closed before its reply completes; only a deadline or a cancellation during the
 * run answers earlier, and the inputs are closed when the run has ended.
 */
public final class Batcher implements AutoCloseable {
  /** The largest number that a priority can be. */
  public static final int LOWEST_PRIORITY = 1_000;

  private static final Duration JOIN_SLICE = Duration.ofMillis(500);

  private final BatcherConfig config;
  private final BatchListener listener;
  private final Ticker ticker;
  private final Dispatcher dispatcher;
  private final Admission admission;
  private final List<BatchRunner> runners = new CopyOnWriteArrayList<>();

  /** The key of the latest request; a stale one costs an allocation, so it needs no fence. */
  private BatchKey recentKey = BatchKey.none();

  private Batcher(BatcherConfig config, Builder parts) {
    this.config = config;
    this.listener = parts.listener;
    this.ticker = parts.ticker;
    this.dispatcher =
        new Dispatcher(
            parts.name, config, parts.policy, listener, ticker, parts.wakeUps, this::replace);
    this.admission = new Admission(dispatcher);
  }

  /**
   * A batcher to be started.
   *
   * @param name of the model, for messages and thread names
   * @param policy for this batcher alone
   */
  public static Builder of(String name, BatcherConfig config, BatchPolicy policy) {
    return new Builder(name, config, policy);
  }

  /** What a batcher is made of. */
  public static final class Builder {
    private final String name;
    private final BatcherConfig config;
    private final BatchPolicy policy;
    private BatchListener listener = BatchListener.none();
    private Ticker ticker = Ticker.system();
    private Executor wakeUps = Runnable::run;

    private Builder(String name, BatcherConfig config, BatchPolicy policy) {
      this.name = name;
      this.config = config;
      this.policy = policy;
    }

    /** Who hears of what it does. */
    public Builder listener(BatchListener hearer) {
      listener = new LoggingListener(hearer);
      return this;
    }

    /** Where it reads the time. */
    public Builder ticker(Ticker source) {
      ticker = source;
      return this;
    }

    /**
     * Where an idle runner is woken for a request: by default at once, by the thread that submits.
     * A thread that has more requests at hand does better to bring them all first. Else the runner
     * takes the first alone; and where they share a processor each request costs two changes of the
     * thread that has it.
     *
     * @param executor runs what it is given on the thread that submits, soon, and does not reject
     */
    public Builder wakeUps(Executor executor) {
      wakeUps = executor;
      return this;
    }

    /** Starts a batcher of one group that is {@link RunnerGroup#of}. */
    public Batcher start(List<? extends Predictor> predictors) {
      return startGroups(List.of(RunnerGroup.of(predictors)));
    }

    /**
     * Starts one runner, a daemon thread named {@code <name>-runner-<n>}, per predictor. The
     * batcher takes the predictors over and closes them when it has drained. Of the runners that
     * rest, the first in this order is woken: one of each group, then the second of each, and so
     * on, so that devices share what there is to run.
     *
     * @param groups at least one
     */
    public Batcher startGroups(List<RunnerGroup> groups) {
      if (groups.isEmpty()) {
        throw new IllegalArgumentException("a batcher needs a predictor");
      }
      Batcher batcher = new Batcher(config, this);
      List<BatchRunner> runners = new ArrayList<>();
      int most = groups.stream().mapToInt(group -> group.predictors().size()).max().orElseThrow();
      for (int i = 0; i < most; i++) {
        for (RunnerGroup group : groups) {
          if (i < group.predictors().size()) {
            Predictor predictor = group.predictors().get(i);
            runners.add(batcher.newRunner(group, () -> predictor));
          }
        }
      }
      runners.forEach(BatchRunner::start);
      return batcher;
    }
  }

  /** Starts a batcher whose model has its device for itself and whose runs all come back. */
  public static Batcher start(
      String name,
      BatcherConfig config,
      List<? extends Predictor> predictors,
      BatchPolicy policy,
      BatchListener listener,
      Ticker ticker) {
    return of(name, config, policy).listener(listener).ticker(ticker).start(predictors);
  }

  private BatchRunner newRunner(RunnerGroup group, Supplier<? extends Predictor> predictor) {
    String threadName = "%s-runner-%d".formatted(dispatcher.name(), runners.size());
    BatchRunner runner =
        new BatchRunner(
            threadName, dispatcher, group, predictor, new RowMerger(config), listener, ticker);
    runners.add(runner);
    dispatcher.add(runner);
    return runner;
  }

  /** A runner is lost in a run: another one takes its place on its device, if there can be one. */
  private synchronized void replace(BatchRunner lost) {
    Supplier<? extends Predictor> maker = lost.group().spares();
    if (maker != null) {
      newRunner(lost.group(), maker).start();
    }
  }

  /**
   * Queues a request of the first priority; see {@link #submit(TensorMap, List, Deadline, int)}.
   */
  public Reply submit(TensorMap inputs, List<String> requestedOutputs, Deadline deadline) {
    return submit(inputs, requestedOutputs, deadline, 0);
  }

  /**
   * Queues a request. When accepted, the inputs are the batcher's; when this throws, they stay the
   * caller's. Does not block.
   *
   * @param inputs agreeing in dimension 0, if the batcher merges; checked against the model before
   * @param requestedOutputs names of the outputs to compute; empty for all
   * @param priority 0 to {@value #LOWEST_PRIORITY}; those of a smaller number are served first, but
   *     a request that has waited for a second longer goes before one of the next better priority
   * @throws InferenceException RESOURCE_EXHAUSTED with a time to come back if the queue is full,
   *     DEADLINE_EXCEEDED if it is late already, UNAVAILABLE with a time to come back if it would
   *     be late by what was learned of the model, UNAVAILABLE while closing, INVALID_ARGUMENT if
   *     the inputs do not agree in dimension 0, or are more than one batch of a model whose outputs
   *     cannot be joined
   */
  public Reply submit(
      TensorMap inputs, List<String> requestedOutputs, Deadline deadline, int priority) {
    return submit(inputs, requestedOutputs, Parameters.empty(), deadline, priority);
  }

  /**
   * As above, with parameters for {@link dev.millrace.api.spi.Predictor#predict(TensorMap, List,
   * Parameters)}. Where requests may be merged, it gets none.
   */
  public Reply submit(
      TensorMap inputs,
      List<String> requestedOutputs,
      Parameters parameters,
      Deadline deadline,
      int priority) {
    long now = ticker.nanos();
    if (deadline.isExpired(now)) {
      listener.requestShed(ShedReason.DEADLINE);
      throw new InferenceException(
          ErrorCode.DEADLINE_EXCEEDED, "the deadline had passed when the request came");
    }
    if (admission.isHopeless(deadline, now)) {
      listener.requestShed(ShedReason.OVERLOAD);
      throw InferenceException.unavailable(
          "model '%s' has too many requests waiting to answer this one in time"
              .formatted(dispatcher.name()),
          dispatcher.retryAfter());
    }
    Request request =
        request(
            inputs, List.copyOf(requestedOutputs), parameters, deadline, checked(priority), now);
    ShedReason refusal = dispatcher.offer(request);
    if (refusal != null) {
      listener.requestShed(refusal);
      throw refusal == ShedReason.CLOSING
          ? InferenceException.unavailable(
              "model '%s' is shutting down".formatted(dispatcher.name()))
          : InferenceException.exhausted(
              "the queue of model '%s' is full".formatted(dispatcher.name()),
              dispatcher.retryAfter());
    }
    return request.reply;
  }

  private static int checked(int priority) {
    if (priority < 0 || priority > LOWEST_PRIORITY) {
      throw InferenceException.invalidArgument(
          "priority must be 0 to %d, got %d".formatted(LOWEST_PRIORITY, priority));
    }
    return priority;
  }

  private Request request(
      TensorMap inputs,
      List<String> requestedOutputs,
      Parameters parameters,
      Deadline deadline,
      int priority,
      long now) {
    int max = config.maxBatchSize();
    boolean counted = max > 0 && !inputs.isEmpty();
    int rows = counted ? rows(inputs, max) : 1;
    boolean oversized = counted && rows > max;
    if (oversized && !dispatcher.isMerging()) {
      throw InferenceException.invalidArgument(
          "the request has %d rows, the model takes at most %d, and its outputs cannot be joined"
              .formatted(rows, max));
    }
    BatchKey key = counted ? key(inputs, requestedOutputs) : BatchKey.none();
    boolean alone = !counted || rows == 0 || dispatcher.poison().contains(inputs, now);
    return new Request(
        dispatcher,
        key,
        inputs,
        requestedOutputs,
        counted ? Parameters.empty() : parameters,
        deadline,
        priority,
        now,
        rows,
        alone,
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

  /** Requests that wait. */
  public int queuedRequests() {
    return dispatcher.backlog().requests();
  }

  /** Rows that wait. */
  public int queuedRows() {
    return dispatcher.backlog().rows();
  }

  /** Bytes of the inputs that wait. */
  public long queuedBytes() {
    return dispatcher.backlog().bytes();
  }

  /** Batches that run. */
  public int runningBatches() {
    return dispatcher.runningBatches();
  }

  /** Runners that wait for work. */
  int idleRunners() {
    return dispatcher.idleRunners();
  }

  /** What its policy has learned; empty if that does not learn. */
  public Optional<LearnedState> learned() {
    return dispatcher.learned();
  }

  /** What a request that comes now has to expect, as far as is known. */
  public Forecast forecast() {
    return dispatcher.forecast();
  }

  /** Answers what is late by the ticker, as the timer thread does when it wakes. */
  void expire() {
    dispatcher.expire();
  }

  /** Runs that have not come back for so long that nothing is expected of them. */
  public int hungRuns() {
    return dispatcher.hungRuns();
  }

  /**
   * Stops accepting, finishes what was accepted, stops the runners and closes the predictors;
   * returns when all that is done, on a second call too, or when only {@link #hungRuns} are left:
   * their predictors are still in use, and so is the model. Not interruptible.
   *
   * @throws IllegalStateException if called by a dependent of a reply on a thread of the batcher's,
   *     which it would wait for
   */
  @Override
  public void close() {
    for (BatchRunner runner : runners) {
      if (runner.thread() == Thread.currentThread() || dispatcher.isTimerThread()) {
        throw new IllegalStateException("a batcher cannot be closed by one of its own threads");
      }
    }
    dispatcher.drain();
    boolean interrupted = false;
    for (int i = 0; i < runners.size(); i++) { // another one may come in place of a lost one
      BatchRunner runner = runners.get(i);
      while (runner.thread().isAlive() && !runner.isLost()) {
        try {
          if (!runner.thread().join(JOIN_SLICE)) {
            dispatcher.lookForHungRuns();
          }
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    dispatcher.stopTimer();
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

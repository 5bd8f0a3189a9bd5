package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.BatchPolicy.Decision;
import dev.millrace.batcher.policy.BatchPolicy.Hold;
import dev.millrace.batcher.policy.BatchPolicy.Run;
import dev.millrace.batcher.policy.BatchPolicy.Trigger;
import dev.millrace.batcher.policy.DispatchReason;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * Plays the batcher of one model towards its policy: tells it of arrivals late, asks it for a free
 * runner only, keeps a hold until its target or its end, takes whole requests in the order of the
 * queue.
 */
final class SimulatedBatcher {
  private static final int WARM_UP_RUNS = 3;

  private final int index;
  private final Workload workload;
  private final BatchPolicy policy;
  private final Traffic.Source source;
  private final SplittableRandom noise;
  private final double sigma;
  private final long[] rowElements;
  private final SimulatedQueue queue;
  private final Tally tally;
  private final Observer observer;
  private final Batch[] free;
  private int freeCount;

  private Trigger trigger = Trigger.ARRIVAL;
  private long holdUntil = Arrivals.NEVER;
  private int holdTarget;

  /** Arrivals that the policy was not told of. */
  private long[] untoldNanos = new long[16];

  private int[] untoldShapes = new int[16];
  private int[] untoldRows = new int[16];
  private int untold;

  SimulatedBatcher(
      int index,
      Workload workload,
      PolicyFactory policies,
      double sigma,
      Tally tally,
      Observer observer,
      SplittableRandom arrivals,
      SplittableRandom noise) {
    this.index = index;
    this.workload = policies.server(workload);
    this.sigma = sigma;
    this.tally = tally;
    this.observer = observer;
    this.noise = noise;
    rowElements = workload.traffic().rowElements();
    queue = new SimulatedQueue(rowElements.length, Workload.CAP);
    policy = policies.create(workload, warmUp(noise.split()));
    free = new Batch[workload.runners()];
    for (int i = 0; i < free.length; i++) {
      free[i] = new Batch(this);
    }
    freeCount = free.length;
    for (int shape = 0; shape < rowElements.length; shape++) {
      policy.shape(shape, rowElements[shape]);
    }
    source = workload.traffic().begin(arrivals);
  }

  /** Runs of the first and of the last shape, in sizes that are powers of two. */
  private List<WarmUpRun> warmUp(SplittableRandom random) {
    List<WarmUpRun> runs = new ArrayList<>();
    int last = rowElements.length - 1;
    for (int shape = 0; shape <= last; shape += Math.max(1, last)) {
      for (int rows = 1; rows <= Workload.CAP; rows *= 2) {
        for (int i = 0; i < WARM_UP_RUNS; i++) {
          long nanos = (long) (1e6 * millis(shape, rows, 0) * spread(random));
          runs.add(new WarmUpRun(rowElements[shape], rows, nanos));
        }
      }
    }
    return runs;
  }

  private double millis(int shape, int rows, long nowNanos) {
    return workload.curve().millis(rows, rowElements[shape], nowNanos);
  }

  private double spread(SplittableRandom random) {
    return sigma == 0 ? 1 : Math.exp(sigma * random.nextGaussian() - sigma * sigma / 2);
  }

  int index() {
    return index;
  }

  int waitingRows() {
    return queue.totalRows();
  }

  long nextArrivalNanos() {
    return source.nanos;
  }

  long holdUntilNanos() {
    return holdUntil;
  }

  /** Whether a runner of this model would take a slot of the device, or hold back, now. */
  boolean wants() {
    return holdUntil == Arrivals.NEVER
        && !queue.isEmpty()
        && freeCount > 0
        && free.length - freeCount < policy.concurrency();
  }

  /** The next request is there. */
  void arrive(long nowNanos) {
    if (source.rows < 1 || source.rows > Workload.CAP) {
      throw new IllegalStateException(
          "a request of %d rows, with a cap of %d".formatted(source.rows, Workload.CAP));
    }
    tally.offered(nowNanos, source.rows);
    if (queue.totalRows() + source.rows > workload.queueing().rowLimit()) {
      int rows = source.rows;
      int priority = source.priority;
      source.advance();
      shed(nowNanos, priority, rows, nowNanos);
      return;
    }
    queue.add(source.shape, nowNanos, source.deadlineNanos, source.rows, source.priority);
    remember(nowNanos);
    source.advance();
    if (holdUntil != Arrivals.NEVER && queue.totalRows() >= holdTarget) {
      endHold(Trigger.HOLD_TARGET);
    }
  }

  private void remember(long nowNanos) {
    if (untold == untoldNanos.length) {
      untoldNanos = Arrays.copyOf(untoldNanos, untold * 2);
      untoldShapes = Arrays.copyOf(untoldShapes, untold * 2);
      untoldRows = Arrays.copyOf(untoldRows, untold * 2);
    }
    untoldNanos[untold] = nowNanos;
    untoldShapes[untold] = source.shape;
    untoldRows[untold++] = source.rows;
  }

  /** The hold has lasted as long as it may. */
  void holdTimedOut() {
    endHold(Trigger.HOLD_TIMEOUT);
  }

  private void endHold(Trigger why) {
    holdUntil = Arrivals.NEVER;
    trigger = why;
  }

  /** Asks the policy; null if it holds back or if nothing is left that is not late. */
  @Nullable Batch decide(long nowNanos) {
    if (workload.queueing().expires()) {
      queue.expire(
          nowNanos, (accepted, priority, rows) -> shed(accepted, priority, rows, nowNanos));
    }
    Trigger why = trigger;
    trigger = Trigger.ARRIVAL;
    if (queue.isEmpty()) {
      return null;
    }
    for (int i = 0; i < untold; i++) {
      policy.arrived(untoldShapes[i], untoldRows[i], untoldNanos[i]);
    }
    untold = 0;
    queue.look(freeCount - 1, free.length - freeCount);
    Decision decision = policy.decide(queue, why, nowNanos);
    if (decision instanceof Hold(long until, int target)) {
      if (until - nowNanos > 0 && queue.totalRows() < target) {
        holdUntil = until;
        holdTarget = target;
        return null;
      }
      decision = new Run(0, queue.rows(), DispatchReason.HOLD_TIMEOUT);
    }
    return take((Run) decision, nowNanos);
  }

  private @Nullable Batch take(Run run, long nowNanos) {
    int shape = queue.shape();
    Lane lane = queue.lane(shape);
    for (int i = 0; i < run.shed() && !lane.isEmpty(); i++) {
      long accepted = lane.accepted(0);
      int priority = lane.priority(0);
      int rows = lane.rows(0);
      queue.removeFirst(shape);
      shed(accepted, priority, rows, nowNanos);
    }
    if (lane.isEmpty()) {
      return null;
    }
    Batch batch = free[--freeCount];
    batch.clear();
    fill(batch, shape, Math.clamp(run.rows(), 1, Workload.CAP));
    batch.shape = shape;
    if (workload.queueing().padsShapes()) {
      pad(batch);
    }
    batch.startedNanos = nowNanos;
    batch.remaining = Math.max(1, 1e6 * millis(batch.shape, batch.rows, nowNanos) * spread(noise));
    policy.started(batch.shape, batch.rows, nowNanos);
    return batch;
  }

  private void fill(Batch batch, int shape, int limit) {
    Lane lane = queue.lane(shape);
    while (!lane.isEmpty() && (batch.requests() == 0 || batch.rows + lane.rows(0) <= limit)) {
      batch.add(lane);
      queue.removeFirst(shape);
    }
  }

  /** Fills what is free below the cap from the other shapes, if the policy finds it worth it. */
  private void pad(Batch batch) {
    for (int shape = 0; shape < queue.shapes(); shape++) {
      Lane lane = queue.lane(shape);
      int room = Workload.CAP - batch.rows;
      if (shape == batch.shape || lane.isEmpty() || lane.rows(0) > room) {
        continue;
      }
      int larger = rowElements[shape] > rowElements[batch.shape] ? shape : batch.shape;
      if (policy.worthPadding(
          batch.shape, batch.rows, shape, Math.min(room, lane.rows()), rowElements[larger])) {
        fill(batch, shape, Workload.CAP);
        batch.shape = larger;
      }
    }
  }

  private void shed(long acceptedNanos, int priority, int rows, long nowNanos) {
    tally.shed(acceptedNanos, rows);
    observer.shed(index, priority, acceptedNanos, nowNanos);
    source.answered(nowNanos);
  }

  /** A batch of this has ended. */
  void completed(Batch batch, long nowNanos) {
    long busy = nowNanos - batch.startedNanos;
    free[freeCount++] = batch;
    for (int i = 0; i < batch.requests(); i++) {
      tally.answered(batch.accepted(i), batch.deadline(i), batch.requestRows(i), nowNanos);
      observer.answered(index, batch.priority(i), batch.accepted(i), batch.deadline(i), nowNanos);
      source.answered(nowNanos);
    }
    tally.ran(batch.rows, busy, nowNanos);
    observer.ran(index, batch.shape, batch.rows, batch.startedNanos, nowNanos);
    policy.completed(batch.shape, batch.rows, batch.startedNanos, busy, nowNanos);
    if (holdUntil == Arrivals.NEVER) {
      trigger = queue.isEmpty() ? Trigger.ARRIVAL : Trigger.COMPLETION;
    }
  }
}

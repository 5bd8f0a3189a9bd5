package dev.millrace.batcher.policy;

import dev.millrace.batcher.policy.LearnedState.ShapeState;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The policy that needs no tuning: it learns how long batches take and how requests arrive, and
 * from that chooses how many rows to take, whether to hold back, what cannot be in time, and how
 * many batches run at once.
 *
 * <p>Without deadlines and without a latency target nothing is ever given up. {@link #snapshot} and
 * {@link #forecast} are for the thread whose turn it is, like everything else; what they return is
 * immutable.
 */
public final class AdaptivePolicy implements BatchPolicy {
  /*
   * In the order of a decision:
   *   1. The arrival rate and the hold learner catch up with the time.
   *   2. The cap: the queue's, and what fits the latency target.
   *   3. If other runners are idle, what waits is split over as many of them as pays (SizeRule).
   *   4. The square-root rule chooses a size (SizeRule).
   *   5. If anything has a deadline, the look-ahead may give up requests or change the size
   *      (DeadlineLookAhead).
   *   6. If all other runners are busy and hindsight says that a hold pays, hold (HoldLearner): never
   *      longer than half a single-row run, or a whole one while the runners are saturated, never past a deadline, never for rows that the size rule
   *      would leave behind anyway; what it leaves only to fill a size may fill the next.
   * With nothing learned yet it takes an even share of what waits, which is how it begins to learn.
   *
   * A curve that was learned wrongly can keep batches small, and the larger sizes that would correct it
   * are then never run. It shows as a queue that stands: meanwhile every eighth small batch is doubled,
   * until that size is well known.
   *
   * The load is what comes, in shares of what the runners could do in large batches. It misses what else
   * keeps processors busy, connections above all, and that clients who wait for answers ask for no more
   * than they get. What is seen does not: if runners that end a batch nearly always find that more waits,
   * they have no time left, and the load is full. Should it really be less, larger batches leave some.
   *
   * Loads are summed over shapes, because all shapes share the runners. The load of the shape that is
   * decided for is what came, in such a situation, while what waited was run, not what came in the last
   * windows: behind a burst there is often nothing, and to spread the fixed part over large batches
   * only makes the first of the burst wait; in a spell of many requests as many more follow, and small
   * batches then fall behind.
   */

  private static final double SATURATED = 0.85;
  private static final double FULL_LOAD = 0.9;
  private static final double NEVER_IDLE = 0.9;
  private static final int TRY_LARGER_EVERY = 8;
  private static final double WELL_KNOWN_WEIGHT = 8;
  private static final double BUSY_SMOOTHING = 0.05;
  private static final double WAITING_SMOOTHING = 0.02;

  private final AdaptiveConfig config;
  private final List<LatencySample> calibration;
  private final int[] batchSizes;
  private final SizeRule sizes;
  private final DeadlineLookAhead lookAhead;
  private final StandingQueue standing = new StandingQueue();
  private final ConcurrencyGovernor governor;
  private final Slowdown slowdown;
  private final RunsInFlight running;
  private final ElementCost elements = new ElementCost();

  private @Nullable ShapeLearning[] shapes = new ShapeLearning[8];
  private int nextToRoll;
  private int lastShape;
  private double utilisation;
  private double rate;

  private int smallWhileStanding;
  private double busyShare;
  private double waitingShare;
  private long busySince;
  private long idleSince;
  private boolean decidedAtCompletion;

  /**
   * @param calibration what was measured at load, with one run at a time; may be empty
   */
  public AdaptivePolicy(AdaptiveConfig config, List<LatencySample> calibration) {
    this.config = config;
    this.calibration = List.copyOf(calibration);
    batchSizes = config.batchSizes().stream().mapToInt(Integer::intValue).toArray();
    int[] preferred = config.preferredSizes().stream().mapToInt(Integer::intValue).toArray();
    sizes = new SizeRule(config.maxBatchSize(), batchSizes, preferred);
    lookAhead = new DeadlineLookAhead(sizes.candidates());
    governor = new ConcurrencyGovernor(config.runners(), config.governed());
    slowdown = new Slowdown(config.runners());
    running = new RunsInFlight(config.runners());
    for (LatencySample sample : calibration) {
      governor.anchored();
      elements.add(sample.rows(), sample.rowElements(), (double) sample.nanos());
    }
  }

  @Override
  public void shape(int shape, long rowElements) {
    if (shape >= shapes.length) {
      shapes = Arrays.copyOf(shapes, Math.max(shape + 1, 2 * shapes.length));
    }
    ShapeLearning old = shapes[shape];
    if (old != null) {
      utilisation -= old.utilisation;
      rate -= old.bookedRate;
    }
    LatencyModel latency = new LatencyModel(config.maxBatchSize(), batchSizes);
    if (elements.isKnown()) {
      latency.prior(elements.tau(), elements.alpha() * Math.max(1, rowElements));
    }
    ShapeLearning learning = new ShapeLearning(rowElements, latency);
    shapes[shape] = learning;
    latency.calibrate(calibration, rowElements);
    learning.rate.runNanos(latency.predict(1));
  }

  @Override
  public void arrived(int shape, int rows, long acceptedNanos) {
    ShapeLearning learning = learning(shape);
    learning.rate.arrived(rows, acceptedNanos);
    learning.log.add(rows, acceptedNanos);
  }

  @Override
  public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
    int shape = queue.shape();
    ShapeLearning learning = learning(shape);
    LatencyModel latency = learning.latency;
    lastShape = shape;
    decidedAtCompletion = trigger == Trigger.COMPLETION;
    if (decidedAtCompletion || trigger == Trigger.ARRIVAL) {
      waitingShare += WAITING_SMOOTHING * ((decidedAtCompletion ? 1 : 0) - waitingShare);
    }
    int active = Math.min(config.runners(), governor.limit());
    int idle = Math.clamp(active - 1 - queue.busyRunners(), 0, queue.idleRunners());
    int cap = Math.max(1, queue.maxBatchSize());
    int waiting = queue.rows();
    if (!latency.isKnown()) {
      return run(queue, unlearned(waiting, cap, active), queue.maxBatchSize(), active, nowNanos);
    }
    book(learning, cap, nowNanos);
    double load = load(learning, HoldLearner.context(decidedAtCompletion, waiting), active);
    double slow = slowdown.of(Math.min(active, queue.busyRunners() + 1));
    int limit = withinTarget(latency, cap, slow);
    int most = waiting;
    int share = 1;
    if (idle > 0) {
      share = sizes.split(latency, slowdown, waiting, limit, load, idle + 1, queue.busyRunners());
      most = Math.ceilDiv(waiting, share);
    }
    int pick = sizes.pick(latency, most, limit, load, rate, idle > 0 ? 1 : active);
    DispatchReason reason = sizes.reason();
    if (standing.isStanding()
        && reason == DispatchReason.SQRT
        && ++smallWhileStanding % TRY_LARGER_EVERY == 0) {
      int larger = Math.min(2 * pick, Math.min(most, limit));
      if (latency.weight(larger) < WELL_KNOWN_WEIGHT) {
        pick = larger;
      }
    }
    if (share > 1 && pick == most) {
      reason = DispatchReason.SHARE;
    }
    if (queue.maxBatchSize() == 0) {
      reason = DispatchReason.ALONE;
    }
    double implicit = standing.isStanding() ? config.latencyTargetNanos() : 0;
    int kept = 0;
    int shed = 0;
    if (queue.hasDeadlines() || implicit > 0) {
      lookAhead.look(
          queue, latency, slow, pick, limit, learning.bookedRate, active, implicit, nowNanos);
      kept = lookAhead.kept();
      shed = lookAhead.shed();
      if (lookAhead.decided()) {
        if (lookAhead.rows() != pick) {
          reason = DispatchReason.DEADLINE;
        }
        pick = lookAhead.rows();
      }
    }
    boolean held = trigger == Trigger.HOLD_TARGET || trigger == Trigger.HOLD_TIMEOUT;
    if (held) {
      idleSince = nowNanos;
    }
    if (held && pick == waiting) {
      reason =
          trigger == Trigger.HOLD_TARGET ? DispatchReason.HOLD_TARGET : DispatchReason.HOLD_TIMEOUT;
    }
    if (!held && idle == 0 && shed == 0 && waiting < limit) {
      Hold hold = hold(queue, learning, pick, reason, limit, load, active, slow, nowNanos);
      if (hold != null) {
        return hold;
      }
    }
    return run(queue, kept, shed, pick, latency, active, slow, reason, nowNanos);
  }

  private static int unlearned(int waiting, int cap, int active) {
    return Math.min(cap, Math.ceilDiv(waiting, active));
  }

  private Run run(QueueView queue, int pick, int maxBatchSize, int active, long nowNanos) {
    DispatchReason reason =
        maxBatchSize == 0
            ? DispatchReason.ALONE
            : pick >= maxBatchSize
                ? DispatchReason.FULL
                : pick < queue.rows() ? DispatchReason.SHARE : DispatchReason.DRAIN;
    return run(queue, 0, 0, pick, null, active, 1, reason, nowNanos);
  }

  private Run run(
      QueueView queue,
      int kept,
      int shed,
      int pick,
      @Nullable LatencyModel latency,
      int active,
      double slow,
      DispatchReason reason,
      long nowNanos) {
    int left = shed > 0 ? Math.max(1, queue.totalRows() - pick) : queue.totalRows() - active * pick;
    double largest =
        latency == null ? 0 : latency.predict(Math.max(1, queue.maxBatchSize())) * slow;
    standing.dispatched(left, largest, nowNanos);
    return new Run(kept, shed, pick, reason);
  }

  private @Nullable Hold hold(
      QueueView queue,
      ShapeLearning learning,
      int pick,
      DispatchReason reason,
      int cap,
      double load,
      int active,
      double slow,
      long nowNanos) {
    LatencyModel latency = learning.latency;
    HoldLearner holds = learning.holds;
    int waiting = queue.rows();
    int context = HoldLearner.context(decidedAtCompletion, waiting);
    int expected = holds.expected(context);
    int joint = sizes.pick(latency, waiting + expected, cap, load, rate, active);
    int target = Math.max(waiting, joint);
    boolean fills = reason == DispatchReason.BUCKET;
    int now = fills ? pick : waiting;
    double runNanos = latency.predict(Math.min(now, cap));
    holds.open(
        context,
        now,
        waiting - now,
        expected > 0 ? target : cap,
        runNanos,
        slow,
        nowNanos,
        learning.log);
    boolean leaves = pick < waiting && !fills;
    if (leaves || joint <= waiting || config.maxHoldNanos() == 0) {
      return null;
    }
    double single = latency.predict(1) * slow;
    double nanos =
        Math.min(
            holds.choose(context, single, busyShare > SATURATED), (double) config.maxHoldNanos());
    if (nanos <= 0 || nanos > leastSlack(queue, nowNanos) - latency.safe(target) * slow) {
      return null;
    }
    return new Hold(nowNanos + (long) nanos, queue.totalRows() - waiting + target);
  }

  private double leastSlack(QueueView queue, long nowNanos) {
    double least = Double.POSITIVE_INFINITY;
    if (queue.hasDeadlines()) {
      int requests = queue.ordered() ? 1 : queue.requests();
      for (int i = 0; i < requests; i++) {
        long deadline = queue.deadlineNanos(i);
        if (deadline != Long.MAX_VALUE) {
          least = Math.min(least, (double) (deadline - nowNanos));
        }
      }
    }
    if (config.latencyTargetNanos() > 0) {
      long room = queue.acceptedNanos(0) - nowNanos + config.latencyTargetNanos();
      least = Math.min(least, (double) room);
    }
    return least;
  }

  /** A row waits for one batch and is in the next: two have to fit, or one, if two never do. */
  private int withinTarget(LatencyModel latency, int cap, double slow) {
    double target = config.latencyTargetNanos() / slow;
    double single = latency.predict(1);
    if (target <= 0 || single > target) {
      return cap;
    }
    return latency.largestWithin(single <= target / 2 ? target / 2 : target, cap);
  }

  /**
   * While a queue stands, or runners are never idle, the load is full, whatever the models say:
   * else a wrong one would stay.
   */
  private double load(ShapeLearning learning, int context, int active) {
    double share = learning.utilisation;
    if (learning.bookedRate > 0) {
      double after = learning.holds.rowsPerNanoAfter(context);
      share *= Double.isInfinite(after) ? 1 : after / learning.bookedRate;
    }
    double load = (utilisation - learning.utilisation + share) * slowdown.of(active) / active;
    boolean full = standing.isStanding() || waitingShare > NEVER_IDLE;
    return full ? Math.max(load, FULL_LOAD) : load;
  }

  /**
   * Brings the books of one shape up to the time, and of one other, lest it stays when it ended.
   */
  private void book(ShapeLearning learning, int cap, long nowNanos) {
    bookRate(learning, cap, nowNanos);
    if (nextToRoll >= shapes.length) {
      nextToRoll = 0;
    }
    ShapeLearning other = shapes[nextToRoll++];
    if (other != null && other != learning) {
      bookRate(other, cap, nowNanos);
    }
    learning.holds.learn(
        learning.latency,
        learning.log,
        cap,
        Math.min(config.runners(), governor.limit()),
        nowNanos);
  }

  private void bookRate(ShapeLearning learning, int cap, long nowNanos) {
    learning.rate.roll(nowNanos);
    double now = learning.rate.rowsPerNano();
    double peak = learning.latency.peak(cap);
    double share = peak > 0 ? now / peak : 0;
    rate += now - learning.bookedRate;
    utilisation += share - learning.utilisation;
    learning.bookedRate = now;
    learning.utilisation = share;
  }

  @Override
  public boolean worthPadding(
      int shape, int rows, int otherShape, int otherRows, long paddedRowElements) {
    if (!elements.isKnown()) {
      return false;
    }
    double apart = alone(shape, rows) + alone(otherShape, otherRows);
    return together(shape, otherShape, rows + otherRows, paddedRowElements) < apart;
  }

  private double alone(int shape, int rows) {
    ShapeLearning learning = learning(shape);
    return learning.latency.isKnown()
        ? learning.latency.predict(rows)
        : elements.predict(rows, learning.rowElements);
  }

  private double together(int shape, int otherShape, int rows, long rowElements) {
    if (learning(shape).rowElements == rowElements) {
      return alone(shape, rows);
    }
    if (learning(otherShape).rowElements == rowElements) {
      return alone(otherShape, rows);
    }
    return elements.predict(rows, rowElements);
  }

  @Override
  public void started(int shape, int rows, long nowNanos) {
    if (running.count() == 0) {
      busySince = nowNanos;
    }
    running.start(shape, rows, nowNanos);
  }

  @Override
  public void completed(int shape, int rows, long startedNanos, long busyNanos, long nowNanos) {
    boolean known = running.end(shape, rows, startedNanos, nowNanos);
    if (known && running.count() == 0) {
      double busy = nowNanos - busySince;
      double idle = idleSince == 0 ? 0 : Math.max(0, busySince - idleSince);
      busyShare += BUSY_SMOOTHING * (busy / Math.max(1, busy + idle) - busyShare);
      idleSince = nowNanos;
    }
    if (busyNanos <= 0) {
      return;
    }
    ShapeLearning learning = learning(shape);
    LatencyModel latency = learning.latency;
    int together = known ? (int) Math.round(2 * running.endedAmong()) : 2;
    double before = latency.predict(rows);
    double slow = slowdown.ofHalves(together);
    double trust = together <= 2 || latency.samples() == 0 ? 1 : 0.2;
    slowdown.add(together, (double) busyNanos, before);
    latency.add(rows, busyNanos / slow, trust, nowNanos);
    elements.add(rows, learning.rowElements, busyNanos / slow);
    double single = latency.predict(1);
    learning.rate.runNanos(single);
    governor.completed(together <= 2, latency, slowdown, rate, Math.max(1, config.maxBatchSize()));
  }

  @Override
  public int concurrency() {
    return governor.limit();
  }

  @Override
  public Forecast forecast() {
    ShapeLearning learning = lastShape < shapes.length ? shapes[lastShape] : null;
    if (learning == null || !learning.latency.isKnown()) {
      return Forecast.unknown();
    }
    LatencyModel latency = learning.latency;
    int active = governor.limit();
    double perRow = rate > 0 ? utilisation / rate : 0;
    if (!(perRow > 0)) {
      double peak = latency.peak(Math.max(1, config.maxBatchSize()));
      perRow = peak > 0 ? 1 / peak : 0;
    }
    return new Forecast(perRow * slowdown.of(active) / active, (long) latency.predict(1));
  }

  @Override
  public Optional<LearnedState> learned() {
    return Optional.of(snapshot());
  }

  /** What was learned until now. */
  public LearnedState snapshot() {
    List<ShapeState> states = new ArrayList<>();
    for (int i = 0; i < shapes.length; i++) {
      ShapeLearning learning = shapes[i];
      if (learning != null) {
        states.add(
            learning.state(
                i, config.runners(), (double) config.maxHoldNanos(), busyShare > SATURATED));
      }
    }
    List<Double> slow = new ArrayList<>();
    for (int c = 1; c <= config.runners(); c++) {
      slow.add(slowdown.of(c));
    }
    return new LearnedState(
        states,
        governor.limit(),
        standing.isStanding(),
        utilisation * slowdown.of(governor.limit()) / governor.limit(),
        slow);
  }

  private ShapeLearning learning(int shape) {
    ShapeLearning learning = shape < shapes.length ? shapes[shape] : null;
    if (learning == null) {
      shape(shape, 1);
      learning = shapes[shape];
    }
    return java.util.Objects.requireNonNull(learning);
  }
}

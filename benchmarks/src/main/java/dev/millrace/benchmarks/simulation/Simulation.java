package dev.millrace.benchmarks.simulation;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * One run of one scenario. The next event is the earliest of the next arrivals, the ends of holds
 * and the end of the batch that has least left to do: few enough to look at each. Not thread-safe;
 * runs of their own share nothing.
 *
 * <p>Batches that run at once share the device: each goes on at the speed 1/s(c) while c of them
 * run.
 */
final class Simulation {
  /** Sets the service times apart from the arrivals. */
  private static final long NOISE = 0x5DEECE66DL;

  private final Scenario scenario;
  private final SimulatedBatcher[] batchers;
  private final Tally[] tallies;
  private final DeviceArbiter arbiter;
  private final boolean[] wants;
  private Batch[] running = new Batch[4];
  private int runningCount;
  private double slowdown = 1;
  private long now;

  private Simulation(
      Scenario scenario,
      List<? extends PolicyFactory> policies,
      DeviceArbiter arbiter,
      Observer observer) {
    this.scenario = scenario;
    this.arbiter = arbiter;
    int count = scenario.workloads().size();
    batchers = new SimulatedBatcher[count];
    tallies = new Tally[count];
    wants = new boolean[count];
    SplittableRandom arrivals = new SplittableRandom(scenario.seed());
    SplittableRandom noise = new SplittableRandom(scenario.seed() ^ NOISE);
    long counted = (long) (scenario.seconds() * scenario.uncountedShare() * 1e9);
    for (int i = 0; i < count; i++) {
      tallies[i] = new Tally(counted);
      batchers[i] =
          new SimulatedBatcher(
              i,
              scenario.workloads().get(i),
              policies.get(i),
              scenario.sigma(),
              tallies[i],
              observer,
              arrivals.split(),
              noise.split());
    }
  }

  /** Runs a scenario of one model. */
  static Tally run(Scenario scenario, PolicyFactory policy) {
    return run(scenario, policy, Observer.NONE);
  }

  /** Runs a scenario of one model. */
  static Tally run(Scenario scenario, PolicyFactory policy, Observer observer) {
    return run(scenario, List.of(policy), DeviceArbiter.roundRobin(), observer).getFirst();
  }

  /** Runs a scenario with a policy for each model, and an arbiter between them. */
  static List<Tally> run(
      Scenario scenario,
      List<? extends PolicyFactory> policies,
      DeviceArbiter arbiter,
      Observer observer) {
    Simulation simulation = new Simulation(scenario, policies, arbiter, observer);
    simulation.run();
    return List.of(simulation.tallies);
  }

  private void run() {
    long end = (long) (scenario.seconds() * 1e9);
    boolean unstable = false;
    while (!unstable) {
      int ending = endsFirst();
      long next = ending < 0 ? end : now + (long) Math.ceil(running[ending].remaining * slowdown);
      SimulatedBatcher arriving = null;
      SimulatedBatcher holding = null;
      for (SimulatedBatcher batcher : batchers) {
        if (batcher.nextArrivalNanos() < next) {
          next = batcher.nextArrivalNanos();
          arriving = batcher;
          holding = null;
        }
        if (batcher.holdUntilNanos() < next) {
          next = batcher.holdUntilNanos();
          holding = batcher;
          arriving = null;
        }
      }
      if (next >= end) {
        break;
      }
      advance(next);
      if (arriving != null) {
        arriving.arrive(now);
        unstable = arriving.waitingRows() > scenario.rowLimit();
      } else if (holding != null) {
        holding.holdTimedOut();
      } else {
        end(ending);
      }
      dispatch();
    }
    for (Tally tally : tallies) {
      tally.end(now, unstable);
    }
  }

  private int endsFirst() {
    int first = runningCount - 1;
    for (int i = first - 1; i >= 0; i--) {
      if (running[i].remaining < running[first].remaining) {
        first = i;
      }
    }
    return first;
  }

  private void advance(long next) {
    double done = (double) (next - now) / slowdown;
    for (int i = 0; i < runningCount; i++) {
      running[i].remaining -= done;
    }
    now = next;
  }

  private void end(int ending) {
    Batch batch = running[ending];
    running[ending] = running[--runningCount];
    shareDevice();
    arbiter.ended(batch.batcher.index(), now - batch.startedNanos);
    batch.batcher.completed(batch, now);
  }

  /** Gives free slots to who wants them, until nobody does. */
  private void dispatch() {
    while (runningCount < scenario.slots()) {
      boolean any = false;
      for (int i = 0; i < batchers.length; i++) {
        wants[i] = batchers[i].wants();
        any |= wants[i];
      }
      if (!any) {
        return;
      }
      int model = batchers.length == 1 ? 0 : arbiter.next(wants);
      Batch batch = batchers[model].decide(now);
      if (batch != null) {
        start(batch, model);
      }
    }
  }

  private void start(Batch batch, int model) {
    if (runningCount == running.length) {
      running = Arrays.copyOf(running, runningCount * 2);
    }
    running[runningCount++] = batch;
    shareDevice();
    arbiter.started(model, now);
  }

  private void shareDevice() {
    slowdown = runningCount == 0 ? 1 : scenario.slowdown().applyAsDouble(runningCount);
  }
}

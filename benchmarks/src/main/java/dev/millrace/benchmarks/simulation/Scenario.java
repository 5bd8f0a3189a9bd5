package dev.millrace.benchmarks.simulation;

import java.util.List;
import java.util.function.IntToDoubleFunction;

/**
 * What happens in a run, apart from the policies: the same for all of them, chance included.
 *
 * @param slowdown how many times slower each batch is while that many run on the device at once; 1
 *     for one
 * @param slots batches that the device takes at once, of all models together
 * @param uncountedShare part of the run, from its start, whose arrivals are not counted
 * @param sigma spread of the service times: their logarithm is normal, their mean the curve's
 * @param rowLimit a run ends once as many rows wait in one queue: it is not going to recover
 * @param seed of arrivals and service times, which draw from generators of their own
 */
record Scenario(
    String name,
    List<Workload> workloads,
    IntToDoubleFunction slowdown,
    int slots,
    double seconds,
    double uncountedShare,
    double sigma,
    int rowLimit,
    long seed) {

  private static final double USUAL_SIGMA = 0.05;
  private static final double USUAL_UNCOUNTED = 0.2;

  Scenario {
    workloads = List.copyOf(workloads);
  }

  /** One model alone on a device that runs its batches side by side at full speed. */
  static Scenario of(String name, Workload workload, double seconds, long seed) {
    return new Scenario(
        name,
        List.of(workload),
        running -> 1,
        Integer.MAX_VALUE,
        seconds,
        USUAL_UNCOUNTED,
        USUAL_SIGMA,
        Integer.MAX_VALUE,
        seed);
  }

  Scenario withSlowdown(IntToDoubleFunction other) {
    return new Scenario(
        name, workloads, other, slots, seconds, uncountedShare, sigma, rowLimit, seed);
  }

  Scenario withSigma(double other) {
    return new Scenario(
        name, workloads, slowdown, slots, seconds, uncountedShare, other, rowLimit, seed);
  }

  Scenario withUncounted(double share) {
    return new Scenario(name, workloads, slowdown, slots, seconds, share, sigma, rowLimit, seed);
  }

  Scenario withSeed(long other) {
    return new Scenario(
        name, workloads, slowdown, slots, seconds, uncountedShare, sigma, rowLimit, other);
  }

  Scenario withRowLimit(int rows) {
    return new Scenario(
        name, workloads, slowdown, slots, seconds, uncountedShare, sigma, rows, seed);
  }

  /** Several models that share the slots of a device. */
  Scenario withWorkloads(List<Workload> others, int deviceSlots) {
    return new Scenario(
        name, others, slowdown, deviceSlots, seconds, uncountedShare, sigma, rowLimit, seed);
  }

  Scenario withWorkload(Workload other) {
    return withWorkloads(List.of(other), slots);
  }
}

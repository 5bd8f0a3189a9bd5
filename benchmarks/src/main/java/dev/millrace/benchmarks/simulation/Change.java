package dev.millrace.benchmarks.simulation;

import java.util.ArrayList;
import java.util.List;

/**
 * Something that changes at once, after a while of learning the opposite: how far a policy is from
 * the best fixed setting once it has run that many batches since.
 */
record Change(String name, Workload workload) {
  private static final long AT_NANOS = 3_000_000_000L;
  private static final double SECONDS = 6;
  private static final int RUNS = 20;

  /** The device gets half as fast, the rate five times as high, one client becomes 64. */
  static List<Change> all() {
    List<Change> changes = new ArrayList<>();
    for (NamedCurve curve :
        List.of(NamedCurve.GPU_FLAT, NamedCurve.GPU_MID, NamedCurve.KNEE, NamedCurve.CPU_HALF)) {
      double rate = Workload.CAP / curve.curve().millis(Workload.CAP);
      changes.add(
          new Change(
              curve + " twice as slow",
              Workload.of(curve.curve().stepAt(AT_NANOS, 2), Arrivals.poisson(0.3 * rate))));
      changes.add(
          new Change(
              curve + " five times the rate",
              Workload.of(
                  curve.curve(),
                  Arrivals.switching(
                      Arrivals.poisson(0.12 * rate), Arrivals.poisson(0.6 * rate), AT_NANOS))));
      changes.add(
          new Change(
              curve + " 1 client, then 64",
              Workload.of(
                  curve.curve(),
                  Arrivals.switching(
                      Arrivals.closedLoop(1, 1, 0.2, 0.05),
                      Arrivals.closedLoop(64, 1, 0.2, 0.05),
                      AT_NANOS))));
    }
    return changes;
  }

  /**
   * Mean latency of what comes between the end of the {@code batches}-th batch after the change and
   * that of as many more, to that of the best fixed setting over the same time.
   */
  double ratioAfter(int batches, PolicyFactory policy) {
    List<Long> from = new ArrayList<>();
    List<Long> to = new ArrayList<>();
    double mean = 0;
    for (int run = 0; run < RUNS; run++) {
      Trace trace = run(run, policy);
      from.add(trace.endOfBatch(batches, AT_NANOS));
      to.add(trace.endOfBatch(2 * batches, AT_NANOS));
      mean += trace.meanMillis(from.get(run), to.get(run));
    }
    double best = Double.POSITIVE_INFINITY;
    for (Contender setting : Contender.sweep()) {
      double sum = 0;
      for (int run = 0; run < RUNS && sum < best; run++) {
        sum += run(run, setting).meanMillis(from.get(run), to.get(run));
      }
      best = Math.min(best, sum);
    }
    return mean / best;
  }

  private Trace run(int seed, PolicyFactory policy) {
    Trace trace = new Trace();
    Tally _ =
        Simulation.run(
            Scenario.of(name, workload, SECONDS, 100 + seed).withRowLimit(20_000), policy, trace);
    return trace;
  }
}

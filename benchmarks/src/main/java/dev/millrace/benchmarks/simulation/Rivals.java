package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.FixedPolicy;
import java.util.LinkedHashMap;
import java.util.Map;

/** The policies that can be named on the command line. */
final class Rivals {
  private static final long MILLI = 1_000_000;
  private static final int SERVING_BATCHES = 10;
  private static final Map<String, Contender> BY_NAME = new LinkedHashMap<>();

  static {
    add(Adaptive.contender());
    add(new Contender("greedy", (workload, warmUp) -> new FixedPolicy(Workload.CAP, 0)));
    add(new Contender("triton", (workload, warmUp) -> new TritonLikePolicy(MILLI / 10, 4, 8)));
    add(
        new Contender(
            "serving",
            (workload, warmUp) -> new ServingLikePolicy(Workload.CAP, MILLI),
            workload -> workload.withRowLimit(SERVING_BATCHES * Workload.CAP)));
    add(new Contender("clipper", (workload, warmUp) -> new BudgetPolicy(workload.curve())));
    add(new Contender("cork", (workload, warmUp) -> new CorkPolicy(warmUp)));
    add(
        new Contender(
            "fifo",
            (workload, warmUp) -> new FixedPolicy(Workload.CAP, 0),
            Workload::withoutExpiry));
  }

  private Rivals() {}

  private static void add(Contender contender) {
    BY_NAME.put(contender.name(), contender);
  }

  /**
   * By its name, or {@code T=} and a delay in milliseconds for a batch of 64.
   *
   * @throws IllegalArgumentException if there is none, with those that there are
   */
  static Contender named(String name) {
    if (name.startsWith("T=")) {
      double delay = Double.parseDouble(name.substring(2));
      return new Contender(name, Contender.fixed(Workload.CAP, delay).factory());
    }
    Contender contender = BY_NAME.get(name);
    if (contender == null) {
      throw new IllegalArgumentException(
          "no policy is called '%s'; there are %s and T=milliseconds"
              .formatted(name, BY_NAME.keySet()));
    }
    return contender;
  }
}

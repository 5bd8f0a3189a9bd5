package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.GreedyPolicy;
import java.util.Map;
import java.util.TreeMap;

/** The policies that can be named on the command line. */
final class Rivals {
  private static final Map<String, Contender> BY_NAME = new TreeMap<>();

  static {
    add(new Contender("adaptive", workload -> new GreedyPolicy(workload.runners())));
    add(Contender.greedy());
  }

  private Rivals() {}

  private static void add(Contender contender) {
    BY_NAME.put(contender.name(), contender);
  }

  /** By its name, or {@code T=} and a delay in milliseconds for a batch of 64. */
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

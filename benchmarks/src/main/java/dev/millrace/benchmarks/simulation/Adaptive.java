package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.GreedyPolicy;

/** The production policy, told at load what the server knows. */
final class Adaptive {
  private Adaptive() {}

  static Contender contender() {
    return new Contender("adaptive", (workload, warmUp) -> new GreedyPolicy(workload.runners()));
  }
}

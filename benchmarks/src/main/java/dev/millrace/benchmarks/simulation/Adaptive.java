package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.AdaptiveConfig;
import dev.millrace.batcher.policy.AdaptivePolicy;
import dev.millrace.batcher.policy.LatencySample;
import java.util.List;

/** The production policy, told at load what the server knows. */
final class Adaptive {
  private Adaptive() {}

  static Contender contender() {
    return new Contender("adaptive", Adaptive::create);
  }

  private static AdaptivePolicy create(Workload workload, List<WarmUpRun> warmUp) {
    AdaptiveConfig config =
        new AdaptiveConfig(
            Workload.CAP, workload.runners(), workload.batchSizes(), 0, Long.MAX_VALUE);
    return new AdaptivePolicy(
        config,
        warmUp.stream()
            .map(run -> new LatencySample(run.rowElements(), run.rows(), run.nanos()))
            .toList());
  }
}

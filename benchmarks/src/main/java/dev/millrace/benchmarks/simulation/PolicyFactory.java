package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.BatchPolicy;
import java.util.List;

/** Makes the policy of one model for one run. */
@FunctionalInterface
interface PolicyFactory {
  /** A policy that knows what the server knows once the model is loaded. */
  BatchPolicy create(Workload workload, List<WarmUpRun> warmUp);

  /** What another server does with the queue that the policy cannot: nothing else, as it is. */
  default Workload server(Workload workload) {
    return workload;
  }
}

package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.BatchPolicy;

/** Makes the policy of one model for one run. */
@FunctionalInterface
interface PolicyFactory {
  /** A policy that has seen nothing yet. */
  BatchPolicy create(Workload workload);
}

package dev.millrace.runtime;

import dev.millrace.api.Device;
import dev.millrace.batcher.policy.AdaptiveConfig;
import dev.millrace.batcher.policy.AdaptivePolicy;
import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.FixedPolicy;
import dev.millrace.batcher.policy.GreedyPolicy;
import dev.millrace.batcher.policy.LatencySample;
import java.time.Duration;
import java.util.List;

/** Makes what decides about a model's batches. */
final class BatchPolicies {
  private BatchPolicies() {}

  /**
   * The policy that the options ask for.
   *
   * @param maxBatchSize most rows of one batch, 0 if requests are never merged
   * @param placements where the model runs
   * @param samples what was measured of the model, for a policy that learns
   */
  static BatchPolicy of(
      BatchingOptions options,
      int maxBatchSize,
      List<Placement> placements,
      List<LatencySample> samples) {
    int largest = Math.max(1, maxBatchSize);
    int runners = placements.stream().mapToInt(Placement::instances).sum();
    boolean apart = // from the processors, which connections need
        placements.stream().noneMatch(each -> each.device().kind() == Device.Kind.CPU);
    return switch (options.policy().orElse(BatchingOptions.Policy.ADAPTIVE)) {
      case ADAPTIVE ->
          new AdaptivePolicy(
              new AdaptiveConfig(
                  maxBatchSize,
                  runners,
                  options.sizesUpTo(maxBatchSize),
                  options.preferredSizes(),
                  options.latencyTarget().map(Duration::toNanos).orElse(0L),
                  options.maxQueueDelay().map(Duration::toNanos).orElse(Long.MAX_VALUE),
                  apart),
              samples);
      case GREEDY -> new GreedyPolicy(runners);
      case FIXED ->
          new FixedPolicy(
              largest,
              options.maxQueueDelay().map(Duration::toNanos).orElse(0L),
              options.preferredSizes());
    };
  }
}

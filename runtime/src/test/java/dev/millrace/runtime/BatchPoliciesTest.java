package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Device;
import dev.millrace.api.Settings;
import dev.millrace.batcher.policy.AdaptivePolicy;
import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.FixedPolicy;
import dev.millrace.batcher.policy.GreedyPolicy;
import dev.millrace.batcher.policy.LatencySample;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class BatchPoliciesTest {
  private static BatchPolicy policy(int maxBatchSize, Map<String, Object> options) {
    return BatchPolicies.of(
        BatchingOptions.read(Settings.of("test", options)),
        maxBatchSize,
        List.of(new Placement(Device.CPU, 2, 1)),
        List.of(new LatencySample(4, 1, 1000)));
  }

  @Test
  void policy_isTheOneAskedFor_elseTheOneThatLearns() {
    assertThat(policy(8, Map.of())).isInstanceOf(AdaptivePolicy.class);
    assertThat(policy(8, Map.of("batch-policy", "adaptive"))).isInstanceOf(AdaptivePolicy.class);
    assertThat(policy(8, Map.of("batch-policy", "greedy"))).isInstanceOf(GreedyPolicy.class);
    assertThat(policy(8, Map.of("batch-policy", "fixed", "max-queue-delay", "5ms")))
        .isInstanceOf(FixedPolicy.class);
  }

  @Test
  void modelThatIsNotMerged_hasAPolicyToo() {
    for (String policy : List.of("adaptive", "greedy", "fixed")) {
      assertThat(policy(0, Map.of("batch-policy", policy))).isNotNull();
    }
  }

  @Test
  void sizesBeyondTheCap_areLeftOut() {
    assertThat(policy(8, Map.of("batch-sizes", "4,16", "latency-target", "10ms"))).isNotNull();
  }
}

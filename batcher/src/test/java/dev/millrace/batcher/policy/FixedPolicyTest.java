package dev.millrace.batcher.policy;

import static dev.millrace.batcher.policy.Curves.MILLI;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.batcher.policy.BatchPolicy.Decision;
import dev.millrace.batcher.policy.BatchPolicy.Hold;
import dev.millrace.batcher.policy.BatchPolicy.Run;
import dev.millrace.batcher.policy.BatchPolicy.Trigger;
import java.util.List;
import org.junit.jupiter.api.Test;

class FixedPolicyTest {
  private static final long NOW = 1_000 * MILLI;

  private static Decision decide(FixedPolicy policy, int rows, long waitedNanos) {
    return policy.decide(FakeQueue.of(rows, NOW - waitedNanos), Trigger.ARRIVAL, NOW);
  }

  @Test
  void batch_waitsUntilItIsFullOrTheDelayHasPassed() {
    FixedPolicy policy = new FixedPolicy(8, 5 * MILLI);
    assertThat(decide(policy, 3, 0)).isEqualTo(new Hold(NOW + 5 * MILLI, 8));
    assertThat(decide(policy, 9, 0)).isEqualTo(new Run(0, 8, DispatchReason.FULL));
    assertThat(decide(policy, 3, 5 * MILLI)).isEqualTo(new Run(0, 3, DispatchReason.HOLD_TIMEOUT));
  }

  @Test
  void preferredSizes_runAtOnce_theLargestThatIsReached() {
    FixedPolicy policy = new FixedPolicy(16, 5 * MILLI, List.of(4, 8));
    assertThat(decide(policy, 3, 0)).isEqualTo(new Hold(NOW + 5 * MILLI, 4));
    assertThat(decide(policy, 5, 0)).isEqualTo(new Run(0, 4, DispatchReason.BUCKET));
    assertThat(decide(policy, 11, 0)).isEqualTo(new Run(0, 8, DispatchReason.BUCKET));
    assertThat(decide(policy, 11, 5 * MILLI))
        .isEqualTo(new Run(0, 11, DispatchReason.HOLD_TIMEOUT));
    assertThat(decide(policy, 20, 0)).isEqualTo(new Run(0, 16, DispatchReason.FULL));
  }

  @Test
  void withoutDelay_whatIsThereRuns_preferredSizesFirst() {
    FixedPolicy policy = new FixedPolicy(16, 0, List.of(4, 8));
    assertThat(decide(policy, 3, 0)).isEqualTo(new Run(0, 3, DispatchReason.DRAIN));
    assertThat(decide(policy, 5, 0)).isEqualTo(new Run(0, 4, DispatchReason.BUCKET));
  }
}

package dev.millrace.batcher.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.batcher.policy.BatchPolicy.Run;
import dev.millrace.batcher.policy.BatchPolicy.Trigger;
import org.junit.jupiter.api.Test;

class GreedyPolicyTest {
  /** A queue in which that many requests of one row wait. */
  private record Waiting(int rows) implements QueueView {
    @Override
    public int shape() {
      return 0;
    }

    @Override
    public int requests() {
      return rows;
    }

    @Override
    public boolean hasDeadlines() {
      return false;
    }

    @Override
    public boolean samePriority() {
      return true;
    }

    @Override
    public int rows(int i) {
      return 1;
    }

    @Override
    public long deadlineNanos(int i) {
      return Long.MAX_VALUE;
    }

    @Override
    public long acceptedNanos(int i) {
      return 0;
    }

    @Override
    public int totalRows() {
      return rows;
    }

    @Override
    public int maxBatchSize() {
      return 64;
    }

    @Override
    public int idleRunners() {
      return 0;
    }

    @Override
    public int busyRunners() {
      return 0;
    }
  }

  private static Run decide(BatchPolicy policy, int rows) {
    return (Run) policy.decide(new Waiting(rows), Trigger.COMPLETION, 0);
  }

  @Test
  void greedy_takesWhatWaits() {
    assertThat(decide(new GreedyPolicy(), 63)).isEqualTo(new Run(0, 63, DispatchReason.DRAIN));
    assertThat(decide(new GreedyPolicy(), 70)).isEqualTo(new Run(0, 70, DispatchReason.FULL));
  }

  @Test
  void greedy_leavesTheOtherRunnersTheirShare() {
    GreedyPolicy policy = new GreedyPolicy(2);
    assertThat(decide(policy, 64)).isEqualTo(new Run(0, 32, DispatchReason.SHARE));
    assertThat(decide(policy, 3)).isEqualTo(new Run(0, 2, DispatchReason.SHARE));
    assertThat(decide(policy, 1)).isEqualTo(new Run(0, 1, DispatchReason.DRAIN));
    assertThatThrownBy(() -> new GreedyPolicy(0)).isInstanceOf(IllegalArgumentException.class);
  }
}

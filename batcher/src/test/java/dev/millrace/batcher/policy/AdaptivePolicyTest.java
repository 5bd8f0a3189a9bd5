package dev.millrace.batcher.policy;

import static dev.millrace.batcher.policy.Curves.MILLI;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.batcher.policy.BatchPolicy.Decision;
import dev.millrace.batcher.policy.BatchPolicy.Hold;
import dev.millrace.batcher.policy.BatchPolicy.Run;
import dev.millrace.batcher.policy.BatchPolicy.Trigger;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;

class AdaptivePolicyTest {
  private static final long ELEMENTS = 100;
  private static final long START = 1_000 * MILLI;

  private static AdaptivePolicy policy(int runners, IntToDoubleFunction millis) {
    return policy(AdaptiveConfig.of(64, runners), millis);
  }

  private static AdaptivePolicy policy(AdaptiveConfig config, IntToDoubleFunction millis) {
    AdaptivePolicy policy = new AdaptivePolicy(config, Curves.calibration(ELEMENTS, millis));
    policy.shape(0, ELEMENTS);
    return policy;
  }

  private static Run run(AdaptivePolicy policy, FakeQueue queue, long now) {
    return (Run) policy.decide(queue, Trigger.ARRIVAL, now);
  }

  @Test
  void withoutKnowledge_takesAnEvenShare() {
    AdaptivePolicy policy = new AdaptivePolicy(AdaptiveConfig.of(64, 2), List.of());
    policy.shape(0, ELEMENTS);
    assertThat(run(policy, FakeQueue.of(9, START), START))
        .isEqualTo(new Run(0, 5, DispatchReason.SHARE));
    assertThat(policy.forecast()).isEqualTo(Forecast.unknown());
    AdaptivePolicy alone = new AdaptivePolicy(AdaptiveConfig.of(64, 1), List.of());
    assertThat(run(alone, FakeQueue.of(9, START), START))
        .isEqualTo(new Run(0, 9, DispatchReason.DRAIN));
    assertThat(run(alone, FakeQueue.of(99, START), START).reason()).isEqualTo(DispatchReason.FULL);
  }

  @Test
  void batchesWithGain_areTakenWhole_othersSingly() {
    assertThat(run(policy(1, b -> 4 + 0.03 * b), FakeQueue.of(40, START), START))
        .isEqualTo(new Run(0, 40, DispatchReason.DRAIN));
    assertThat(run(policy(1, b -> 0.02 + b), FakeQueue.of(40, START), START))
        .isEqualTo(
            new Run(
                0,
                run(policy(1, b -> 0.02 + b), FakeQueue.of(40, START), START).rows(),
                DispatchReason.SQRT));
    assertThat(run(policy(1, b -> Math.pow(b, 1.1)), FakeQueue.of(40, START), START).rows())
        .isEqualTo(1);
  }

  @Test
  void aModelThatDoesNotBatch_runsAlone() {
    AdaptivePolicy policy = policy(AdaptiveConfig.of(0, 1), b -> 1);
    FakeQueue queue = FakeQueue.of(5, START);
    queue.maxBatchSize = 0;
    assertThat(run(policy, queue, START)).isEqualTo(new Run(0, 1, DispatchReason.ALONE));
  }

  @Test
  void whatWaits_isSplitOverIdleRunners() {
    FakeQueue queue = FakeQueue.of(16, START);
    queue.idleRunners = 3;
    Run run = run(policy(4, b -> 4 + 0.3 * b), queue, START);
    assertThat(run).isEqualTo(new Run(0, 4, DispatchReason.SHARE));
  }

  @Test
  void withoutDeadlinesAndTarget_nothingIsGivenUp() {
    AdaptivePolicy policy = policy(1, b -> 1 + b);
    long now = START;
    for (int i = 0; i < 1000; i++) {
      now += 60 * MILLI;
      FakeQueue queue = FakeQueue.of(1000, now - 100_000 * MILLI);
      for (int k = 0; k < 100; k++) {
        policy.arrived(0, 1, now);
      }
      Decision decision = policy.decide(queue, Trigger.COMPLETION, now);
      assertThat(((Run) decision).shed()).isZero();
      policy.started(0, ((Run) decision).rows(), now);
      policy.completed(0, ((Run) decision).rows(), now, 40 * MILLI, now + 40 * MILLI);
    }
    assertThat(policy.snapshot().standing()).isTrue();
  }

  /** A curve learned wrongly must not keep batches small for ever. */
  @Test
  void aStandingQueue_raisesTheBatchSize() {
    AdaptivePolicy policy = policy(1, b -> 1 + b);
    long now = START;
    Run first = (Run) policy.decide(FakeQueue.of(64, now), Trigger.COMPLETION, now);
    int most = 0;
    for (int i = 0; i < 40; i++) {
      now += 10 * MILLI;
      Run run = (Run) policy.decide(FakeQueue.of(64, now), Trigger.COMPLETION, now);
      most = Math.max(most, run.rows());
    }
    assertThat(first.rows()).isLessThan(16);
    assertThat(most).isGreaterThan(2 * first.rows());
  }

  /** Rows that waited were followed by none, or by as many as a full runner can take, each time. */
  @Test
  void whatFollowsInSuchASituation_isTheLoad() {
    assertThat(lastOfManyBursts(0)).isLessThan(lastOfManyBursts(1) - 4);
  }

  private static int lastOfManyBursts(int rowsAMilli) {
    AdaptivePolicy policy = policy(1, b -> 1 + b);
    long now = START;
    int rows = 0;
    for (int i = 0; i < 30; i++) {
      Run run = (Run) policy.decide(FakeQueue.of(32, now), Trigger.COMPLETION, now);
      rows = run.rows();
      for (int k = 1; k <= 33 * rowsAMilli; k++) {
        policy.arrived(0, 1, now + k * MILLI);
      }
      now += 1_000 * MILLI;
      Decision _ = policy.decide(FakeQueue.of(1, now), Trigger.ARRIVAL, now);
    }
    return rows;
  }

  @Test
  void aLatencyTarget_capsTheBatch_andGivesUpWhatAStandingQueueMakesLate() {
    AdaptiveConfig config = new AdaptiveConfig(64, 1, List.of(), 20 * MILLI, Long.MAX_VALUE, true);
    AdaptivePolicy policy = policy(config, b -> 2 + 0.5 * b);
    Run first = run(policy, FakeQueue.of(64, START), START);
    assertThat(first.rows()).isLessThanOrEqualTo(16);
    long now = START;
    Run run = first;
    for (int i = 0; i < 40; i++) {
      now += 10 * MILLI;
      run = (Run) policy.decide(FakeQueue.of(64, now - 30 * MILLI), Trigger.COMPLETION, now);
    }
    assertThat(run.shed()).isEqualTo(64);
  }

  @Test
  void deadlines_decide() {
    AdaptivePolicy policy = policy(1, b -> 4 + 0.03 * b);
    FakeQueue queue =
        new FakeQueue()
            .add(1, START - 9 * MILLI, START + MILLI)
            .add(1, START, START + 10 * MILLI)
            .add(1, START, Long.MAX_VALUE);
    assertThat(run(policy, queue, START).shed()).isEqualTo(1);
  }

  @Test
  void closedLoop_learnsToHold_andSaysWhy() {
    AdaptivePolicy policy = policy(1, b -> 4 + 0.03 * b);
    // eight of sixteen clients wait, the other eight ask again right after their answers
    long now = START;
    Decision decision = new Run(0, 1, DispatchReason.DRAIN);
    for (int i = 0; i < 20 && decision instanceof Run; i++) {
      FakeQueue queue = FakeQueue.of(8, now - 4 * MILLI);
      decision = policy.decide(queue, Trigger.COMPLETION, now);
      if (decision instanceof Run run) {
        policy.started(0, run.rows(), now);
        for (int k = 0; k < 8; k++) {
          policy.arrived(0, 1, now + MILLI / 5 + k);
        }
        now += 4_240_000;
        policy.completed(0, run.rows(), now - 4_240_000, 4_240_000, now);
      }
    }
    assertThat(decision).isInstanceOf(Hold.class);
    Hold hold = (Hold) decision;
    assertThat(hold.untilNanos() - now).isBetween(1L, 2_100_000L);
    assertThat(hold.targetRows()).isBetween(9, 16);
    FakeQueue both = FakeQueue.of(16, now);
    assertThat(policy.decide(both, Trigger.HOLD_TARGET, now + MILLI / 5))
        .isEqualTo(new Run(0, 16, DispatchReason.HOLD_TARGET));
    assertThat(policy.decide(both, Trigger.HOLD_TIMEOUT, now + 2 * MILLI))
        .isEqualTo(new Run(0, 16, DispatchReason.HOLD_TIMEOUT));
  }

  @Test
  void forecast_isCurrent() {
    AdaptivePolicy policy = policy(2, b -> 1 + b);
    run(policy, FakeQueue.of(1, START), START);
    Forecast forecast = policy.forecast();
    assertThat(forecast.runNanos()).isCloseTo(2 * MILLI, Percentage.withPercentage(5));
    assertThat(forecast.nanosPerRow())
        .isCloseTo(65.0 / 64 / 2 * MILLI, Percentage.withPercentage(5));
  }

  @Test
  void padding_isWorthIt_whereTheFixedPartDominates() {
    AdaptivePolicy flat = policy(1, b -> 4 + 0.03 * b);
    flat.shape(1, 2 * ELEMENTS);
    assertThat(flat.worthPadding(0, 2, 1, 2, 2 * ELEMENTS)).isTrue();
    AdaptivePolicy linear = policy(1, b -> 0.1 + b);
    linear.shape(1, 2 * ELEMENTS);
    assertThat(linear.worthPadding(0, 2, 1, 2, 2 * ELEMENTS)).isFalse();
  }

  @Test
  void newShapes_startFromWhatOthersShowed() {
    AdaptivePolicy policy = policy(1, b -> 1 + b);
    policy.shape(7, 3 * ELEMENTS);
    LearnedState.ShapeState state = policy.snapshot().shapes().getLast();
    assertThat(state.shape()).isEqualTo(7);
    assertThat(state.alphaNanos()).isCloseTo(3.0 * MILLI, Percentage.withPercentage(5));
  }

  @Test
  void batchesWithoutADecision_areLearnedFrom() {
    AdaptivePolicy policy = new AdaptivePolicy(AdaptiveConfig.of(64, 2), List.of());
    policy.shape(3, ELEMENTS);
    for (int i = 0; i < 20; i++) {
      long now = START + i * (10 * MILLI);
      policy.started(3, 4, now);
      policy.completed(3, 4, now, 5 * MILLI, now + 5 * MILLI);
      policy.completed(3, 9, now, 0, now + 5 * MILLI);
    }
    LearnedState.ShapeState state = policy.snapshot().shapes().getFirst();
    assertThat(state.samples()).isEqualTo(20);
    assertThat(state.curve().getFirst().rows()).isEqualTo(4);
    assertThat(state.curve().getFirst().nanos())
        .isCloseTo(5.0 * MILLI, Percentage.withPercentage(2));
  }

  @Test
  void slowdown_ofRunsBesideEachOther_isLearned() {
    AdaptivePolicy policy = policy(2, b -> 1 + b);
    for (int i = 0; i < 100; i++) {
      long now = START + i * (10 * MILLI);
      policy.started(0, 1, now);
      policy.started(0, 1, now + 1);
      policy.completed(0, 1, now, 4 * MILLI, now + 4 * MILLI);
      policy.completed(0, 1, now + 1, 4 * MILLI, now + 4 * MILLI + 1);
    }
    assertThat(policy.snapshot().slowdown().get(1)).isBetween(1.5, 2.0);
  }

  @Test
  void config_refusesNonsense() {
    assertThatThrownBy(() -> new AdaptiveConfig(8, 0, List.of(), 0, 0, true))
        .hasMessageContaining("runners is below 1");
    assertThatThrownBy(() -> new AdaptiveConfig(8, 1, List.of(4, 4), 0, 0, true))
        .hasMessageContaining("ascend");
    assertThatThrownBy(() -> new LatencySample(1, 0, 1)).isInstanceOf(RuntimeException.class);
  }
}

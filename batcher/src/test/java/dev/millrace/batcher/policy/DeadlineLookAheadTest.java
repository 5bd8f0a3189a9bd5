package dev.millrace.batcher.policy;

import static dev.millrace.batcher.policy.Curves.CAP;
import static dev.millrace.batcher.policy.Curves.MILLI;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class DeadlineLookAheadTest {
  private static final long NOW = 1_000 * MILLI;

  private final DeadlineLookAhead look = new DeadlineLookAhead(SizeRule.steps(CAP));
  private final LatencyModel gpu = Curves.exact(b -> 4 + 0.03 * b);
  private final LatencyModel linear = Curves.exact(b -> 1 + b);

  private static FakeQueue slacks(double... millis) {
    FakeQueue queue = new FakeQueue();
    for (double slack : millis) {
      queue.add(1, NOW, NOW + (long) (slack * MILLI));
    }
    return queue;
  }

  private void look(FakeQueue queue, LatencyModel model, int pick, double ratePerMilli) {
    look.look(queue, model, 1, pick, CAP, ratePerMilli / MILLI, 1, 0, NOW);
  }

  @Test
  void everythingInTime_changesNothing() {
    look(slacks(50, 50, 50), gpu, 3, 0);
    assertThat(look.decided()).isFalse();
    assertThat(look.shed()).isZero();
    assertThat(look.rows()).isEqualTo(3);
  }

  @Test
  void laterBatchesInTime_changeNothing() {
    // batches of one: the k-th has to have k runs of room
    look(slacks(2.5, 4.7, 7, 9.5), linear, 1, 0);
    assertThat(look.decided()).isFalse();
  }

  @Test
  void theHopeless_areGivenUp() {
    look(slacks(1, 2, 30, 40), gpu, 4, 0);
    assertThat(look.shed()).isEqualTo(2);
    assertThat(look.rows()).isEqualTo(2);
  }

  @Test
  void allHopeless_areAllGivenUp() {
    look(slacks(1, 2, 3), gpu, 3, 0);
    assertThat(look.shed()).isEqualTo(3);
  }

  /** Were b bounded by the first deadline, one would run, and all others be late. */
  @Test
  void theFirstDeadline_doesNotBoundTheBatch() {
    double[] slacks = new double[64];
    slacks[0] = 4.6;
    for (int i = 1; i < 64; i++) {
      slacks[i] = 7.5;
    }
    look(slacks(slacks), gpu, 64, 20);
    assertThat(look.shed()).isEqualTo(1);
    assertThat(look.rows()).isEqualTo(63);
  }

  /** Without those who come during the first batch, a small one now and all later looks best. */
  @Test
  void arrivalsDuringTheFirstBatch_preventProcrastination() {
    double[] slacks = new double[60];
    for (int i = 0; i < 60; i++) {
      slacks[i] = 14 + i * 0.01;
    }
    look(slacks(slacks), gpu, 60, 12);
    assertThat(look.shed()).isZero();
    assertThat(look.rows()).isEqualTo(60);
  }

  /** Those that are late in the second batch must not count for it. */
  @Test
  void theSecondBatch_isNotFilledWithTheLate() {
    double[] slacks = new double[40];
    for (int i = 0; i < 40; i++) {
      slacks[i] = 6.3;
    }
    look(slacks(slacks), gpu, 5, 0);
    assertThat(look.rows()).isEqualTo(40);
    assertThat(look.shed()).isZero();
  }

  @Test
  void severalPriorities_loseOnlyTheHopeless() {
    FakeQueue queue = slacks(1, 5, 5, 5, 5, 5, 5, 5);
    queue.samePriority = false;
    look(queue, linear, 2, 5);
    assertThat(look.shed()).isEqualTo(1);
    assertThat(look.rows()).isEqualTo(2);
  }

  @Test
  void requestsOfManyRows_areTakenWhole() {
    FakeQueue queue =
        new FakeQueue()
            .add(3, NOW, NOW + MILLI)
            .add(8, NOW, NOW + 12 * MILLI)
            .add(8, NOW, NOW + 12 * MILLI)
            .add(8, NOW, NOW + 60 * MILLI);
    look(queue, linear, 24, 0);
    assertThat(look.shed()).isEqualTo(1);
    assertThat(look.rows()).isEqualTo(8);
  }

  @Test
  void implicitDeadlines_areForThoseWithoutOne() {
    FakeQueue queue = FakeQueue.of(10, NOW - 30 * MILLI);
    queue.add(1, NOW, Long.MAX_VALUE);
    look.look(queue, gpu, 1, 11, CAP, 0, 1, 20.0 * MILLI, NOW);
    assertThat(look.shed()).isEqualTo(10);
    assertThat(look.rows()).isEqualTo(1);
    look(FakeQueue.of(10, NOW - 30 * MILLI), gpu, 10, 0);
    assertThat(look.decided()).isFalse();
  }

  @Test
  void moreThanTheWindow_isScanned() {
    FakeQueue queue = new FakeQueue();
    for (int i = 0; i < 3000; i++) {
      queue.add(1, NOW, NOW + i * MILLI / 100);
    }
    look(queue, gpu, 64, 10);
    assertThat(look.shed()).isBetween(300, 1500);
    assertThat(look.rows()).isBetween(32, 64);
  }
}

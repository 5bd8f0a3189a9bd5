package dev.millrace.batcher.policy;

import static dev.millrace.batcher.policy.Curves.CAP;
import static dev.millrace.batcher.policy.Curves.MILLI;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

class HoldLearnerTest {
  private final HoldLearner holds = new HoldLearner();
  private final ArrivalLog log = new ArrivalLog();
  private final LatencyModel flat = Curves.exact(b -> 4 + 0.03 * b);
  private final int context = HoldLearner.context(true, 8);
  private long now;

  /** A decision over 8 rows, after which as many come as {@code rows} says, after {@code after}. */
  private void dispatch(int rows, long after) {
    holds.open(context, 8, 0, CAP, flat.predict(8), 1, now, log);
    for (int i = 0; i < rows; i++) {
      log.add(1, now + after + i * 1000L);
    }
    now += 10 * MILLI;
    holds.learn(flat, log, CAP, 1, now);
  }

  @Test
  void theOtherCohort_isWorthWaitingFor() {
    for (int i = 0; i < 3; i++) {
      dispatch(8, MILLI / 5);
      assertThat(holds.choose(context, flat.predict(1), false)).isZero();
    }
    dispatch(8, MILLI / 5);
    double hold = holds.choose(context, flat.predict(1), false);
    assertThat(hold).isBetween(MILLI / 5.0, 2.1 * MILLI);
    assertThat(holds.expected(context)).isEqualTo(8);
  }

  /** 40 clients: 16 are answered while 24 wait, of which a batch of 16 would leave 8. */
  @Test
  void whatAPaddedSizeLeaves_fillsTheNextWithThoseWhoCome() {
    LatencyModel padded =
        Curves.exact(b -> 1.23 + 0.052 * (b == 1 ? 1 : Integer.highestOneBit(2 * b - 1)));
    int waiting = HoldLearner.context(true, 24);
    for (int i = 0; i < 30; i++) {
      holds.open(waiting, 16, 8, 32, padded.predict(16), 1, now, log);
      for (int k = 0; k < 16; k++) {
        log.add(1, now + MILLI / 2);
      }
      now += 10 * MILLI;
      holds.learn(padded, log, CAP, 1, now);
    }
    assertThat(holds.expected(waiting)).isEqualTo(16);
    assertThat(holds.choose(waiting, padded.predict(1), true)).isGreaterThan(MILLI / 2.0);
  }

  @Test
  void nothingThatComes_isNotWaitedFor() {
    for (int i = 0; i < 50; i++) {
      dispatch(0, 0);
      holds.open(HoldLearner.context(true, 24), 16, 8, 32, flat.predict(16), 1, now, log);
    }
    assertThat(holds.choose(context, flat.predict(1), true)).isZero();
    assertThat(holds.choose(HoldLearner.context(true, 24), flat.predict(1), true)).isZero();
  }

  @Test
  void randomArrivals_areNotWaitedForLong() {
    Random random = new Random(5);
    for (int i = 0; i < 200; i++) {
      holds.open(context, 8, 0, CAP, flat.predict(8), 1, now, log);
      long end = now + 5 * MILLI;
      long t = now + gap(random);
      while (t < end) {
        log.add(1, t);
        t += gap(random);
      }
      now += 10 * MILLI;
      holds.learn(flat, log, CAP, 1, now);
    }
    assertThat(holds.choose(context, flat.predict(1), false)).isZero();
  }

  private static long gap(Random random) {
    return (long) (-Math.log(1 - random.nextDouble()) * 4 * MILLI);
  }

  @Test
  void aHoldThatStopsPaying_isGivenUpSoon() {
    for (int i = 0; i < 100; i++) {
      dispatch(8, MILLI / 5);
    }
    int misses = 0;
    while (holds.choose(context, flat.predict(1), false) > 0) {
      dispatch(0, 0);
      misses++;
    }
    assertThat(misses).isLessThan(20);
  }

  @Test
  void otherContexts_knowNothingOfIt() {
    for (int i = 0; i < 20; i++) {
      dispatch(8, MILLI / 5);
    }
    assertThat(holds.choose(HoldLearner.context(false, 8), flat.predict(1), false)).isZero();
    assertThat(holds.choose(HoldLearner.context(true, 16), flat.predict(1), false)).isZero();
  }

  @Test
  void arrivalLog_countsRowsAcrossItsEnd() {
    ArrivalLog small = new ArrivalLog();
    for (int i = 0; i < 3000; i++) {
      small.add(2, i);
    }
    assertThat(small.holds(1000)).isFalse();
    assertThat(small.holds(2500)).isTrue();
    long end = small.firstAfter(2500, 2599);
    assertThat(end).isEqualTo(2600);
    assertThat(small.rowsBetween(2500, end)).isEqualTo(200);
    assertThat(small.reaching(2500, 3000, 21)).isEqualTo(2510);
  }
}

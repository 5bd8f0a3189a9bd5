package dev.millrace.batcher.policy;

import static dev.millrace.batcher.policy.Curves.MILLI;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;

class ConcurrencyGovernorTest {
  private double now;

  /** Runs batches of 8 that wait for nothing, each slowed down by those beside it. */
  private void saturate(ConcurrencyGovernor governor, int batches, IntToDoubleFunction slowdown) {
    for (int i = 0; i < batches; i++) {
      int c = governor.limit();
      double run = MILLI * slowdown.applyAsDouble(c);
      now += run / c;
      governor.completed(8, run * 2, c, true, true, MILLI, (long) now);
    }
  }

  @Test
  void limit_startsAtTheRunners() {
    assertThat(new ConcurrencyGovernor(3).limit()).isEqualTo(3);
    assertThat(new ConcurrencyGovernor(1).limit()).isEqualTo(1);
  }

  @Test
  void limit_fallsWhereRunsHinderEachOther() {
    ConcurrencyGovernor governor = new ConcurrencyGovernor(4);
    saturate(governor, 5_000, c -> Math.pow(c, 1.2));
    assertThat(governor.limit()).isLessThanOrEqualTo(2);
  }

  @Test
  void limit_staysWhereRunsDoNot() {
    ConcurrencyGovernor governor = new ConcurrencyGovernor(4);
    saturate(governor, 10_000, c -> 1);
    int full = 0;
    for (int i = 0; i < 5_000; i++) {
      saturate(governor, 1, c -> 1);
      full += governor.limit() == 4 ? 1 : 0;
    }
    assertThat(full).isGreaterThan(4_500);
  }

  @Test
  void limit_risesAgainWhenThatPays() {
    ConcurrencyGovernor governor = new ConcurrencyGovernor(4);
    saturate(governor, 5_000, c -> Math.pow(c, 1.5));
    saturate(governor, 60_000, c -> 1);
    assertThat(governor.limit()).isGreaterThanOrEqualTo(3);
  }

  @Test
  void limit_isLeftAloneWhileNothingOverlaps() {
    ConcurrencyGovernor governor = new ConcurrencyGovernor(4);
    for (int i = 0; i < 10_000; i++) {
      now += 10 * MILLI;
      governor.completed(1, MILLI, 1, false, false, MILLI, (long) now);
      assertThat(governor.limit()).isEqualTo(4);
    }
  }
}

package dev.millrace.batcher.policy;

import static dev.millrace.batcher.policy.Curves.CAP;
import static dev.millrace.batcher.policy.Curves.MILLI;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SizeRuleTest {
  private final SizeRule rule = new SizeRule(CAP, new int[0]);

  /** Exact solutions of the decision process for lat(b) = 1 + b and 64 rows. */
  @ParameterizedTest
  @CsvSource({"0.05, 11", "0.1, 12", "0.4, 15", "0.6, 18", "0.8, 27", "0.9, 38"})
  void pick_isNearTheOptimum(double load, int exact) {
    LatencyModel model = Curves.exact(b -> 1 + b);
    double rate = load * 64 / (65 * MILLI);
    int pick = rule.pick(model, 64, CAP, load, rate, 1);
    // the next of the coarse steps above the root
    assertThat((double) pick).isBetween(exact / 1.2, exact * 1.2);
    assertThat(rule.reason()).isEqualTo(DispatchReason.SQRT);
  }

  @Test
  void pick_ofAFlatCurve_takesAll() {
    LatencyModel model = Curves.exact(b -> 4 + 0.001 * b);
    assertThat(rule.pick(model, 30, CAP, 0.1, 0, 1)).isEqualTo(30);
    assertThat(rule.reason()).isEqualTo(DispatchReason.DRAIN);
    assertThat(rule.pick(model, 300, CAP, 0.1, 0, 1)).isEqualTo(CAP);
    assertThat(rule.reason()).isEqualTo(DispatchReason.FULL);
  }

  @Test
  void pick_withoutGain_takesOne() {
    LatencyModel model = Curves.exact(b -> Math.pow(b, 1.1));
    assertThat(rule.pick(model, 64, CAP, 0.9, 0, 1)).isEqualTo(1);
  }

  @Test
  void pick_isNotKeptSmall_byABumpOfTheCurve() {
    int[] micros = {166, 290, 548, 726, 1027, 1064, 1612, 2747};
    int[] rows = {1, 2, 3, 4, 8, 16, 32, 64};
    LatencyModel model = new LatencyModel(CAP, new int[0]);
    for (int round = 0; round < 30; round++) {
      for (int i = 0; i < rows.length; i++) {
        model.add(rows[i], micros[i] * 1000.0, 0);
      }
    }
    assertThat(rule.pick(model, 60, CAP, 0.9, 0, 1)).isGreaterThanOrEqualTo(32);
    assertThat(rule.pick(model, 60, CAP, 0.3, 0, 1)).isGreaterThanOrEqualTo(16);
    assertThat(rule.pick(model, 2, CAP, 0.1, 0, 1)).isEqualTo(2);
  }

  @Test
  void pick_withSeveralRunners_leavesThemTheirShareUnlessBatchesAreFree() {
    LatencyModel half = Curves.exact(b -> 1 + 0.3 * b);
    assertThat(rule.pick(half, 64, CAP, 0.3, 0, 4)).isLessThan(rule.pick(half, 64, CAP, 0.3, 0, 1));
    LatencyModel flat = Curves.exact(b -> 4 + 0.001 * b);
    assertThat(rule.pick(flat, 64, CAP, 0.3, 0, 4)).isEqualTo(64);
  }

  @Test
  void pick_ofPaddedSizes_fillsOneOrPadsWhatIsCheaper() {
    int[] sizes = {1, 2, 4, 8, 16, 32, 64};
    SizeRule padded = new SizeRule(CAP, sizes);
    LatencyModel steep =
        Curves.exact(b -> 0.2 + Integer.highestOneBit(Math.max(1, 2 * b - 1)), sizes);
    assertThat(padded.pick(steep, 33, CAP, 0.6, 0, 1)).isIn(1, 2, 4, 8, 16, 32);
    LatencyModel flat =
        Curves.exact(b -> 10 + 0.01 * Integer.highestOneBit(Math.max(1, 2 * b - 1)), sizes);
    assertThat(padded.pick(flat, 33, CAP, 0.6, 0, 1)).isEqualTo(33);
  }

  /** The engine works in tiles of eight rows. */
  @Test
  void pick_isCutToAPreferredSize_unlessThatCostsMore() {
    SizeRule prefers = new SizeRule(CAP, new int[0], new int[] {7, 8, 16, 100});
    LatencyModel tiles = Curves.exact(b -> 1 + 4 * Math.ceilDiv(b, 8));
    assertThat(prefers.pick(tiles, 9, CAP, 0, 0, 1)).isEqualTo(8);
    assertThat(prefers.reason()).isEqualTo(DispatchReason.BUCKET);
    assertThat(prefers.pick(tiles, 16, CAP, 0, 0, 1)).isIn(8, 16);
    assertThat(prefers.pick(tiles, 6, CAP, 0, 0, 1)).isEqualTo(6);
    LatencyModel flat = Curves.exact(b -> 4 + 0.001 * b);
    assertThat(prefers.pick(flat, 9, CAP, 0, 0, 1)).isEqualTo(9);
    assertThat(prefers.reason()).isEqualTo(DispatchReason.DRAIN);
    assertThat(prefers.candidates()).contains(7, 8, 16).doesNotContain(100).doesNotHaveDuplicates();
  }

  @Test
  void split_usesIdleRunnersUnlessTheySlowEachOtherDown() {
    LatencyModel model = Curves.exact(b -> 1 + b);
    Slowdown none = new Slowdown(4);
    assertThat(rule.split(model, none, 16, CAP, 0.1, 4, 0)).isEqualTo(4);
    Slowdown serial = new Slowdown(4);
    for (int c = 2; c <= 4; c++) {
      for (int i = 0; i < 100; i++) {
        serial.add(2 * c, c, 1);
      }
    }
    assertThat(rule.split(model, serial, 16, CAP, 0.1, 4, 0)).isEqualTo(1);
  }

  @Test
  void steps_ascendToTheCap() {
    assertThat(SizeRule.steps(1)).containsExactly(1);
    assertThat(SizeRule.steps(30))
        .containsExactly(1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 30);
  }
}

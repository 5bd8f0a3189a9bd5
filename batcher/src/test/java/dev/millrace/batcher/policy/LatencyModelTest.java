package dev.millrace.batcher.policy;

import static dev.millrace.batcher.policy.Curves.MILLI;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import java.util.function.IntToDoubleFunction;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;

class LatencyModelTest {
  private static final Percentage CLOSE = Percentage.withPercentage(5);

  @Test
  void predict_knowsNothingAtFirst() {
    LatencyModel model = new LatencyModel(64, new int[0]);
    assertThat(model.isKnown()).isFalse();
    assertThat(model.predict(1)).isZero();
    assertThat(model.peak(64)).isZero();
  }

  @Test
  void predict_ofALine_holdsForSizesThatWereNotRun() {
    LatencyModel model = Curves.model(b -> 2 + 0.1 * b);
    assertThat(model.tau()).isCloseTo(2 * MILLI, CLOSE);
    assertThat(model.alpha()).isCloseTo(0.1 * MILLI, CLOSE);
    for (int b = 1; b <= 64; b++) {
      assertThat(model.predict(b)).isCloseTo((2 + 0.1 * b) * MILLI, CLOSE);
    }
  }

  @Test
  void predict_ofAKnee_followsIt() {
    LatencyModel model = Curves.model(b -> Math.max(3, 1 + 0.12 * b));
    assertThat(model.predict(3)).isCloseTo(3.0 * MILLI, CLOSE);
    assertThat(model.predict(12)).isCloseTo(3.0 * MILLI, CLOSE);
    assertThat(model.predict(48)).isCloseTo(6.76 * MILLI, CLOSE);
  }

  @Test
  void predict_neverDescends() {
    LatencyModel model = new LatencyModel(1000, new int[0]);
    Random random = new Random(4);
    for (int i = 0; i < 500; i++) {
      int b = 1 + random.nextInt(1000);
      model.add(b, (1 + 0.01 * b) * MILLI * Math.exp(0.5 * random.nextGaussian()), 0);
    }
    for (int b = 2; b <= 64; b++) {
      assertThat(model.predict(b)).isGreaterThanOrEqualTo(model.predict(b - 1));
    }
  }

  @Test
  void predict_ofPaddedSizes_isTheSizeAbove() {
    LatencyModel model = new LatencyModel(64, new int[] {1, 8, 64});
    for (int i = 0; i < 20; i++) {
      model.add(2, 4.0 * MILLI, 0);
      model.add(9, 9.0 * MILLI, 0);
    }
    assertThat(model.predict(8)).isEqualTo(model.predict(2));
    assertThat(model.predict(64)).isEqualTo(model.predict(9));
  }

  @Test
  void predict_ofLargeSizes_isWithinTheOctaveQuarters() {
    LatencyModel model = new LatencyModel(4096, new int[0]);
    for (int round = 0; round < 20; round++) {
      for (int b = 1; b <= 4096; b *= 2) {
        model.add(b, (5 + 0.02 * b) * MILLI, 0);
      }
    }
    for (int b : new int[] {65, 100, 500, 3000, 4096}) {
      assertThat(model.predict(b)).isCloseTo((5 + 0.02 * b) * MILLI, CLOSE);
    }
  }

  @Test
  void oneSize_leavesAModestGainToBeTried() {
    LatencyModel model = new LatencyModel(64, new int[0]);
    for (int i = 0; i < 50; i++) {
      model.add(1, 1.0 * MILLI, 0);
    }
    assertThat(model.predict(1)).isCloseTo(1.0 * MILLI, CLOSE);
    assertThat(model.predict(16)).isBetween(2.0 * MILLI, 4.0 * MILLI);
    assertThat(model.tau()).isPositive();
    assertThat(model.alpha()).isPositive();
  }

  @Test
  void anOutlier_isClipped_threeOfOneSizeAreTheTruthAboutIt() {
    LatencyModel model = Curves.model(b -> 1 + b);
    double before = model.predict(64);
    model.add(64, 1000.0 * MILLI, 0);
    assertThat(model.predict(64)).isCloseTo(before, within(0.15 * before));
    for (int i = 0; i < 3; i++) {
      model.add(8, 9.0 * MILLI, 0);
      model.add(64, 1000.0 * MILLI, 0);
    }
    assertThat(model.predict(64)).isGreaterThan(2 * before);
    assertThat(model.predict(8)).isCloseTo(9.0 * MILLI, Percentage.withPercentage(10));
  }

  @Test
  void aShiftOfAllSizes_reachesThoseThatAreNotRun() {
    LatencyModel model = Curves.model(b -> 1 + b);
    for (int i = 0; i < 40; i++) {
      model.add(8, 2 * 9.0 * MILLI, 0);
    }
    assertThat(model.predict(8)).isCloseTo(18.0 * MILLI, Percentage.withPercentage(12));
    assertThat(model.predict(32)).isCloseTo(66.0 * MILLI, Percentage.withPercentage(20));
  }

  /** A size first run after the shift shows the new speed already. */
  @Test
  void aShiftOfAllSizes_leavesWhatWasMeasuredSince() {
    LatencyModel model = Curves.model(b -> 1 + 0.3 * b);
    model.add(8, 2 * 3.4 * MILLI, 0);
    model.add(9, 2 * 3.7 * MILLI, 0);
    model.add(8, 2 * 3.4 * MILLI, 0);
    model.add(8, 2 * 3.4 * MILLI, 0);
    assertThat(model.predict(9)).isCloseTo(7.4 * MILLI, Percentage.withPercentage(10));
    assertThat(model.predict(16)).isCloseTo(11.6 * MILLI, Percentage.withPercentage(10));
  }

  @Test
  void spellsOfDisturbance_leaveSizesThatAreNotRunInProportion() {
    for (int seed = 0; seed < 20; seed++) {
      LatencyModel model = Curves.model(b -> 1 + 0.1 * b);
      Random random = new Random(seed);
      int spell = 10 + random.nextInt(100);
      for (int i = 0; i < 50_000; i++) {
        int b = 1 + random.nextInt(2);
        boolean disturbed = (i / spell) % 4 == 0 && random.nextInt(3) > 0;
        model.add(b, (1 + 0.1 * b) * MILLI * (disturbed ? 2 + random.nextInt(20) : 1), 0);
      }
      for (int i = 0; i < 200; i++) {
        int b = 1 + random.nextInt(2);
        model.add(b, (1 + 0.1 * b) * MILLI, 0);
      }
      for (int b : new int[] {1, 2, 8, 64}) {
        assertThat(model.predict(b) / ((1 + 0.1 * b) * MILLI))
            .as("seed %d, %d rows", seed, b)
            .isBetween(0.1, 2.0);
      }
    }
  }

  @Test
  void staleSizes_yieldToTheLine() {
    LatencyModel model = Curves.model(b -> 1 + b);
    long later = 0;
    for (int i = 0; i < 400; i++) {
      later += 1_000_000_000L;
      model.add(1 + i % 8, (1 + 1 + i % 8) * (double) MILLI, later);
    }
    assertThat(model.weight(64)).isLessThanOrEqualTo(3);
    assertThat(model.weight(1)).isGreaterThan(10);
  }

  private static LatencyModel calibratedOnce(IntToDoubleFunction millis) {
    LatencyModel model = new LatencyModel(64, new int[0]);
    model.calibrate(Curves.calibration(4, millis).subList(0, 7), 4);
    return model;
  }

  /** However long after its start the machine loads the model. */
  @Test
  void whatWasCalibrated_isFreshWhenTheFirstSamplesCome() {
    LatencyModel model = calibratedOnce(b -> 1 + 0.2 * b);
    long now = 3_600_000_000_000L;
    for (int i = 0; i < 40; i++) {
      model.add(32, 7.4 * MILLI, now + i * MILLI);
    }
    assertThat(model.weight(1)).isGreaterThanOrEqualTo(3);
    assertThat(model.predict(1)).isCloseTo(1.2 * MILLI, CLOSE);
    for (int i = 0; i < 400; i++) {
      model.add(32, 7.4 * MILLI, now + 61_000_000_000L + i * MILLI);
    }
    assertThat(model.weight(1)).isLessThan(1);
  }

  /** The first batches run while the JVM still compiles. */
  @Test
  void whatWasCalibrated_isNotLostToOneSlowRun() {
    LatencyModel model = calibratedOnce(b -> 1 + 0.2 * b);
    model.add(4, 30.0 * MILLI, 0);
    assertThat(model.predict(4)).isCloseTo(1.8 * MILLI, Percentage.withPercentage(10));
  }

  @Test
  void safe_isAboveTheMeanByDeviations() {
    LatencyModel model = new LatencyModel(64, new int[0]);
    for (int i = 0; i < 200; i++) {
      model.add(4, (i % 2 == 0 ? 9 : 11) * (double) MILLI, 0);
    }
    assertThat(model.safe(4)).isCloseTo(11.25 * MILLI, Percentage.withPercentage(4));
  }

  @Test
  void peak_isTheBestOfAllSizes() {
    assertThat(Curves.exact(b -> 1 + b).peak(64)).isCloseTo(64.0 / (65 * MILLI), CLOSE);
    assertThat(Curves.exact(b -> Math.pow(b, 1.3)).peak(64)).isCloseTo(1.0 / MILLI, CLOSE);
    assertThat(Curves.exact(b -> 1 + b).largestWithin(17.5 * MILLI, 64)).isBetween(15, 17);
  }

  @Test
  void prior_standsUntilSamplesCome() {
    LatencyModel model = new LatencyModel(64, new int[0]);
    model.prior(3.0 * MILLI, 0.5 * MILLI);
    assertThat(model.isKnown()).isTrue();
    assertThat(model.predict(10)).isCloseTo(8.0 * MILLI, CLOSE);
    for (int i = 0; i < 30; i++) {
      model.add(1, 1.0 * MILLI, 0);
      model.add(10, 1.9 * MILLI, 0);
    }
    assertThat(model.predict(10)).isCloseTo(1.9 * MILLI, CLOSE);
  }
}

package dev.millrace.benchmarks.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ArrivalsTest {
  private static final long SECOND = 1_000_000_000;

  @ParameterizedTest
  @EnumSource
  void schedule_hasTheRateAndAscends(Arrivals arrivals) {
    long[] schedule = arrivals.schedule(1000, 20 * SECOND, 3);
    assertThat((double) schedule.length).isCloseTo(20_000, within(1_500.0));
    assertThat(schedule).isSorted();
    assertThat(schedule[schedule.length - 1]).isLessThan(20 * SECOND);
    assertThat(schedule).isEqualTo(arrivals.schedule(1000, 20 * SECOND, 3));
  }

  @Test
  void poisson_gapsAreAsLongAsTheyVary() {
    long[] schedule = Arrivals.POISSON.schedule(1000, 20 * SECOND, 3);
    double[] gaps = new double[schedule.length - 1];
    Arrays.setAll(gaps, i -> (schedule[i + 1] - schedule[i]) / 1e6);
    double mean = Arrays.stream(gaps).average().orElseThrow();
    double variance =
        Arrays.stream(gaps).map(gap -> (gap - mean) * (gap - mean)).average().orElseThrow();
    assertThat(mean).isCloseTo(1, within(0.05));
    assertThat(variance).isCloseTo(1, within(0.1));
  }

  @Test
  void bursts_areOfEight() {
    long[] schedule = Arrivals.BURSTS.schedule(1000, SECOND, 3);
    for (int i = 0; i < schedule.length; i++) {
      assertThat(schedule[i]).isEqualTo(schedule[i / 8 * 8]);
    }
  }
}

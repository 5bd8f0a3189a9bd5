package dev.millrace.benchmarks.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class ArrivalsTest {
  private static final int COUNT = 200_000;

  private static long[] times(Traffic traffic) {
    Traffic.Source source = traffic.begin(new SplittableRandom(1));
    long[] times = new long[COUNT];
    for (int i = 0; i < COUNT; i++) {
      times[i] = source.nanos;
      source.advance();
      assertThat(source.nanos).isGreaterThanOrEqualTo(times[i]);
    }
    return times;
  }

  private static double perMilli(long[] times) {
    return COUNT / ((double) times[COUNT - 1] / 1e6);
  }

  /** Variance of the gaps to the square of their mean; 1 for independent arrivals. */
  private static double spread(long[] times) {
    double mean = (double) times[COUNT - 1] / COUNT;
    double squares = 0;
    for (int i = 1; i < COUNT; i++) {
      squares += Math.pow((double) (times[i] - times[i - 1]) - mean, 2);
    }
    return squares / COUNT / (mean * mean);
  }

  @Test
  void poisson_hasItsRateAndSpread() {
    long[] times = times(Arrivals.poisson(2));
    assertThat(perMilli(times)).isCloseTo(2, within(0.02));
    assertThat(spread(times)).isCloseTo(1, within(0.02));
  }

  @Test
  void bursts_haveTheRateAndAWiderSpread() {
    long[] times = times(Arrivals.bursts(2, 8, 0.02));
    assertThat(perMilli(times)).isCloseTo(2, within(0.04));
    assertThat(spread(times)).isBetween(10.0, 16.0);
  }

  @Test
  void modulated_hasTheMeanRate() {
    assertThat(perMilli(times(Arrivals.modulated(2, 10, 50, 450)))).isCloseTo(2, within(0.2));
  }

  @Test
  void onOff_isSilentInBetween() {
    long[] times = times(Arrivals.onOff(2, 100, 200));
    assertThat(perMilli(times)).isCloseTo(2, within(0.2));
    long longest = 0;
    for (int i = 1; i < COUNT; i++) {
      longest = Math.max(longest, times[i] - times[i - 1]);
    }
    assertThat(longest).isGreaterThan(200_000_000L);
  }

  @Test
  void closedLoop_hasOneRequestOfEachClient() {
    Traffic.Source source = Arrivals.closedLoop(2, 5, 0.2, 0.05).begin(new SplittableRandom(1));
    source.advance();
    source.advance();
    assertThat(source.nanos).isEqualTo(Arrivals.NEVER);
    source.answered(50_000_000);
    assertThat(source.nanos).isBetween(50_200_000L, 52_000_000L);
    source.advance();
    assertThat(source.nanos).isEqualTo(Arrivals.NEVER);
  }

  @Test
  void switching_followsTheOtherFromThenOn() {
    long[] times =
        times(Arrivals.switching(Arrivals.poisson(1), Arrivals.poisson(10), 1_000_000_000));
    int before = 0;
    while (times[before] < 1_000_000_000) {
      before++;
    }
    assertThat(before).isBetween(900, 1100);
    assertThat((COUNT - before) / ((double) (times[COUNT - 1] - 1_000_000_000) / 1e6))
        .isCloseTo(10, within(0.2));
  }

  @Test
  void recording_isItsLines() {
    Traffic.Source source =
        RecordedTraffic.parse(
                "r.csv",
                List.of("time_ms,rows,deadline_ms,priority", "1.5,3,,0", "", "2, 1, 10, 2"))
            .begin(new SplittableRandom(1));
    assertThat(source.nanos).isEqualTo(1_500_000);
    assertThat(source.rows).isEqualTo(3);
    assertThat(source.deadlineNanos).isEqualTo(Long.MAX_VALUE);
    source.advance();
    assertThat(source.nanos).isEqualTo(2_000_000);
    assertThat(source.deadlineNanos).isEqualTo(12_000_000);
    assertThat(source.priority).isEqualTo(2);
    source.advance();
    assertThat(source.nanos).isEqualTo(Arrivals.NEVER);
  }

  @Test
  void recording_wrong_isRefusedWithItsLine() {
    String header = "time_ms,rows,deadline_ms,priority";
    assertThatThrownBy(() -> RecordedTraffic.parse("r.csv", List.of("1,1,,0")))
        .hasMessageContaining(header);
    assertThatThrownBy(() -> RecordedTraffic.parse("r.csv", List.of(header, "2,1,,0", "1,1,,0")))
        .hasMessageContaining("line 3 of r.csv");
    assertThatThrownBy(() -> RecordedTraffic.parse("r.csv", List.of(header, "2,x,,0")))
        .hasMessageContaining("line 2 of r.csv");
    assertThatThrownBy(() -> RecordedTraffic.parse("r.csv", List.of(header, "2,65,,0")))
        .hasMessageContaining("rows are 1 to 64");
  }
}

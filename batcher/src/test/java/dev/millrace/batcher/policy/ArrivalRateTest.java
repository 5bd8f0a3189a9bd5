package dev.millrace.batcher.policy;

import static dev.millrace.batcher.policy.Curves.MILLI;
import static org.assertj.core.api.Assertions.assertThat;

import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;

class ArrivalRateTest {
  private final ArrivalRate rate = new ArrivalRate();

  @Test
  void rate_isRowsPerTime() {
    for (int i = 0; i < 1000; i++) {
      rate.arrived(3, i * MILLI);
    }
    assertThat(rate.rowsPerNano()).isCloseTo(3.0 / MILLI, Percentage.withPercentage(1));
  }

  @Test
  void rate_fallsWhileNothingComes() {
    for (int i = 0; i < 100; i++) {
      rate.arrived(1, i * MILLI);
    }
    rate.roll(100 * MILLI + 200 * MILLI);
    assertThat(rate.rowsPerNano()).isPositive().isLessThan(0.01 / MILLI);
    rate.roll(1_000_000 * MILLI);
    assertThat(rate.rowsPerNano()).isZero();
  }

  @Test
  void rate_followsAChange() {
    for (int i = 0; i < 100; i++) {
      rate.arrived(1, i * MILLI);
    }
    for (int i = 0; i < 1000; i++) {
      rate.arrived(1, 100 * MILLI + i * MILLI / 5);
    }
    assertThat(rate.rowsPerNano()).isCloseTo(5.0 / MILLI, Percentage.withPercentage(5));
  }
}

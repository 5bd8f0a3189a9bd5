package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MachineLoadTest {
  private static final List<String> STATISTICS =
      List.of(
          "cpu  100 20 30 4000 500 6 7 8 0 0",
          "cpu0 50 10 15 2000 250 3 3 4 0 0",
          "cpu1 50 10 15 2000 250 3 4 4 0 0",
          "intr 12345",
          "ctxt 678");

  @Test
  void statistics_countWhatIsNeitherIdleNorWaitsForDevices() {
    assertThat(MachineLoad.of(STATISTICS, 5, 3))
        .hasValue(new MachineLoad(5, Duration.ofMillis(1710).toNanos(), 3, 2));
    assertThat(MachineLoad.of(List.of("intr 12345"), 5, 3)).isEmpty();
  }

  /** In a second: the work of all and of this process in seconds, and who wants processors. */
  @ParameterizedTest
  @CsvSource({
    "2.00, 2.00, 2, 2, false", // all is this process's
    "2.00, 1.90, 2, 2, false",
    "2.00, 1.70, 2, 2, true", // of two processors somebody has a third of one
    "1.40, 1.00, 2, 2, true", // though there was time left, both were wanted
    "1.40, 1.00, 2, 1, false", // one was enough
    "40.0, 2.00, 64, 2, false", // a large machine has room for all
    "63.0, 2.00, 64, 4, true",
    "0.90, 1.00, 2, 2, false", // counted at different moments
  })
  void others_areInTheWayIfTheyLeaveTooFewProcessors(
      double busy, double own, int processors, int wanted, boolean crowded) {
    MachineLoad before = new MachineLoad(0, 0, 0, processors);
    MachineLoad after =
        new MachineLoad(1_000_000_000, (long) (busy * 1e9), (long) (own * 1e9), processors);
    assertThat(after.wasCrowdedSince(before, wanted)).isEqualTo(crowded);
  }

  @Test
  void fewTicks_sayNothing() {
    MachineLoad before = new MachineLoad(0, 0, 0, 2);
    assertThat(new MachineLoad(60_000_000, 150_000_000, 110_000_000, 2).wasCrowdedSince(before, 2))
        .isFalse();
  }

  @Test
  void time_goesOn() {
    MachineLoad.now()
        .ifPresent(before -> {
          MachineLoad after = MachineLoad.now().orElseThrow();
          assertThat(after.busyNanos()).isGreaterThanOrEqualTo(before.busyNanos());
          assertThat(after.ownNanos()).isPositive().isGreaterThanOrEqualTo(before.ownNanos());
          assertThat(after.processors()).isEqualTo(before.processors());
        });
  }
}

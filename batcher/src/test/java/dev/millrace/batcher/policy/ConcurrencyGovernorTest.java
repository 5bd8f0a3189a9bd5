package dev.millrace.batcher.policy;

import static dev.millrace.batcher.policy.Curves.CAP;
import static dev.millrace.batcher.policy.Curves.MILLI;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;

class ConcurrencyGovernorTest {
  private static final LatencyModel FLAT = Curves.exact(b -> 4 + 0.03 * b);
  private static final LatencyModel NO_GAIN = Curves.exact(b -> 0.02 + b);

  private static Slowdown slowdown(IntToDoubleFunction s) {
    Slowdown slowdown = new Slowdown(4);
    for (int halves = 3; halves <= 8; halves++) {
      for (int i = 0; i < 100; i++) {
        slowdown.add(halves, s.applyAsDouble(halves), 2);
      }
    }
    return slowdown;
  }

  private static int settled(LatencyModel latency, Slowdown slowdown, double ratePerMilli) {
    ConcurrencyGovernor governor = new ConcurrencyGovernor(4);
    governor.anchored();
    assertThat(governor.limit()).isEqualTo(4);
    for (int i = 0; i < 1000; i++) {
      governor.completed(false, latency, slowdown, ratePerMilli / MILLI, CAP);
    }
    return governor.limit();
  }

  @Test
  void aSerialDevice_runsOneAtATime() {
    Slowdown serial = slowdown(halves -> halves);
    assertThat(settled(FLAT, serial, 5)).isEqualTo(1);
    assertThat(settled(FLAT, serial, 0.2)).isEqualTo(1);
  }

  @Test
  void independentCores_runAll() {
    Slowdown none = slowdown(halves -> 2);
    assertThat(settled(FLAT, none, 20)).isEqualTo(4);
    assertThat(settled(NO_GAIN, none, 3)).isEqualTo(4);
  }

  @Test
  void halfSharedDevices_runFewWhereBatchesAreFree_allWhereTheyAreNot() {
    Slowdown half = slowdown(halves -> 2 + 0.6 * (halves - 2));
    assertThat(settled(FLAT, half, 4)).isEqualTo(1);
    assertThat(settled(NO_GAIN, half, 1.3)).isGreaterThanOrEqualTo(3);
  }

  @Test
  void overload_runsWhatServesMost() {
    Slowdown half = slowdown(halves -> 2 + 0.6 * (halves - 2));
    assertThat(settled(FLAT, half, 100)).isEqualTo(4);
  }

  @Test
  void withoutAnAnchor_eightBatchesRunAlone() {
    ConcurrencyGovernor governor = new ConcurrencyGovernor(4);
    Slowdown none = new Slowdown(4);
    int alone = 0;
    for (int i = 0; i < 500; i++) {
      boolean single = governor.limit() == 1;
      alone += single ? 1 : 0;
      governor.completed(single, FLAT, none, 20.0 / MILLI, CAP);
    }
    assertThat(alone).isEqualTo(8);
    assertThat(governor.limit()).isEqualTo(4);
  }

  @Test
  void oneRunner_isOne() {
    ConcurrencyGovernor governor = new ConcurrencyGovernor(1);
    governor.completed(true, FLAT, new Slowdown(1), 1, CAP);
    assertThat(governor.limit()).isEqualTo(1);
  }
}

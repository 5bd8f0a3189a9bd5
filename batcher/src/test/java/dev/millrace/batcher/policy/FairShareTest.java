package dev.millrace.batcher.policy;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class FairShareTest {
  private final FairShare shares = new FairShare();

  /** Runs whoever is next, one run at a time, until so much time is used. */
  private void run(long untilNanos, List<FairShare.Tenant> tenants, List<Long> runNanos) {
    tenants.forEach(shares::await);
    long now = 0;
    while (now < untilNanos) {
      FairShare.Tenant next = requireNonNull(shares.next());
      long nanos = runNanos.get(tenants.indexOf(next));
      double charged = shares.started(next);
      now += nanos;
      shares.ended(next, charged, nanos);
      shares.await(next);
    }
  }

  @Test
  void time_isSharedByWeightHoweverLongRunsAre() {
    FairShare.Tenant fast = shares.join(1);
    FairShare.Tenant slow = shares.join(1);
    FairShare.Tenant heavy = shares.join(2);
    run(10_000_000, List.of(fast, slow, heavy), List.of(1_000L, 10_000L, 3_000L));
    assertThat(fast.usedNanos() / 1e7).isBetween(0.24, 0.26);
    assertThat(slow.usedNanos() / 1e7).isBetween(0.24, 0.26);
    assertThat(heavy.usedNanos() / 1e7).isBetween(0.49, 0.51);
  }

  @Test
  void idleModel_savesNothingUp() {
    FairShare.Tenant busy = shares.join(1);
    FairShare.Tenant sleeper = shares.join(1);
    run(1_000_000, List.of(busy), List.of(1_000L));
    long before = busy.usedNanos();
    run(1_000_000, List.of(busy, sleeper), List.of(1_000L, 1_000L));
    assertThat(busy.usedNanos() - before).isBetween(480_000L, 520_000L);
  }

  @Test
  void nobodyWaits_nobodyIsNext() {
    FairShare.Tenant tenant = shares.join(1);
    assertThat(shares.next()).isNull();
    shares.await(tenant);
    assertThat(shares.next()).isSameAs(tenant);
    shares.leave(tenant);
    assertThat(shares.tenants()).isZero();
    assertThat(shares.next()).isNull();
  }

  @Test
  void weight_isPositive() {
    assertThatThrownBy(() -> shares.join(0)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> shares.join(Double.NaN)).isInstanceOf(IllegalArgumentException.class);
  }
}

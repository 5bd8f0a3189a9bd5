package dev.millrace.batcher.policy;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Shares a device among models in proportion to their weights, in device time. Not thread-safe, and
 * without clocks.
 */
public final class FairShare {
  /*
   * Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queueing", SIGCOMM 1996).
   *
   * A virtual clock V runs as fast as the device works. A run of a model starts, in virtual time, at
   * S = max(V, F), where F is the virtual time at which the model's last run ended, and F becomes
   * S + time / weight. The waiting model with the least S runs next, and V becomes that S. A model
   * that was idle starts at V: it gets its share from now on and nothing for the past.
   *
   * The paper proves |W1/w1 - W2/w2| <= l1/w1 + l2/w2 for the work W of two models that both have
   * requests all the time, with the longest run l of each: no model lags by more than about one run
   * of each. It takes the length of a run as known when it starts; here it is expected from the
   * model's latest runs and corrected when the run has ended, which adds at most the error of the
   * runs that are under way.
   */

  private final List<Tenant> tenants = new ArrayList<>();
  private double virtualNanos;

  /** A model that uses the device. */
  public static final class Tenant {
    private static final double GAIN = 0.2;

    private final double weight;
    private double finish;
    private double expectedNanos;
    private int waiting;
    private long usedNanos;

    private Tenant(double weight, double finish) {
      this.weight = weight;
      this.finish = finish;
    }

    /** Device time that its runs took, in nanoseconds. */
    public long usedNanos() {
      return usedNanos;
    }
  }

  /** A new user of the device; {@code weight} is positive, and 2 gets twice as much as 1. */
  public Tenant join(double weight) {
    if (!(weight > 0)) {
      throw new IllegalArgumentException("a share's weight must be positive: " + weight);
    }
    Tenant tenant = new Tenant(weight, virtualNanos);
    tenants.add(tenant);
    return tenant;
  }

  /** It uses the device no more. */
  public void leave(Tenant tenant) {
    tenants.remove(tenant);
  }

  /** Users of the device. */
  public int tenants() {
    return tenants.size();
  }

  /** It has one more run that waits for the device. */
  public void await(Tenant tenant) {
    tenant.waiting++;
  }

  /** The one whose run is next, of those that wait; null if none does. */
  public @Nullable Tenant next() {
    Tenant first = null;
    for (Tenant tenant : tenants) {
      if (tenant.waiting > 0 && (first == null || start(tenant) < start(first))) {
        first = tenant;
      }
    }
    return first;
  }

  private double start(Tenant tenant) {
    return Math.max(virtualNanos, tenant.finish);
  }

  /** A run of it that waited starts now; what it is charged for the time being. */
  public double started(Tenant tenant) {
    tenant.waiting--;
    double start = start(tenant);
    virtualNanos = start;
    tenant.finish = start + tenant.expectedNanos / tenant.weight;
    return tenant.expectedNanos;
  }

  /**
   * A run of it has ended.
   *
   * @param chargedNanos what {@link #started} returned for it
   * @param nanos device time that it took; 0 if it used nothing after all
   */
  public void ended(Tenant tenant, double chargedNanos, long nanos) {
    tenant.finish += (nanos - chargedNanos) / tenant.weight;
    tenant.usedNanos += nanos;
    if (nanos > 0) {
      tenant.expectedNanos =
          tenant.expectedNanos == 0
              ? nanos
              : tenant.expectedNanos + Tenant.GAIN * (nanos - tenant.expectedNanos);
    }
  }
}

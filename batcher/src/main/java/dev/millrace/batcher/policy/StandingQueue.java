package dev.millrace.batcher.policy;

/**
 * Whether a queue stands: more comes than is served, and not just for a moment. Single-threaded.
 */
final class StandingQueue {
  /*
   * CoDel (Nichols and Jacobson 2012) tells a standing queue from a burst by the least delay within an
   * interval. In a batcher a delay of one batch is normal; what is not is that every dispatch leaves
   * rows behind, for longer than max(100 ms, 4 largest batches).
   */

  private static final double LEAST_INTERVAL_NANOS = 100e6;
  private static final double INTERVAL_RUNS = 4;

  private boolean leaving;
  private long since;
  private boolean standing;

  /**
   * A batch was taken.
   *
   * @param left rows that it left behind and that no free or freed runner takes at once
   * @param largestRunNanos time of the largest batch; 0 if not known
   */
  void dispatched(int left, double largestRunNanos, long nowNanos) {
    if (left <= 0) {
      leaving = false;
      standing = false;
      return;
    }
    if (!leaving) {
      leaving = true;
      since = nowNanos;
    }
    standing = nowNanos - since >= Math.max(LEAST_INTERVAL_NANOS, INTERVAL_RUNS * largestRunNanos);
  }

  boolean isStanding() {
    return standing;
  }
}

package dev.millrace.benchmarks.simulation;

import java.util.List;

/**
 * One model and the requests for it.
 *
 * @param batchSizes that the model pads its batches to, as the server knows it; empty if it does
 *     not
 * @param traffic of requests that have no more rows than the cap
 * @param runners batches of the model that may run at once
 * @param queueing what the server does with requests that wait
 */
record Workload(
    ServiceCurve curve, List<Integer> batchSizes, Traffic traffic, int runners, Queueing queueing) {

  /** Cap on the rows of a batch, everywhere. */
  static final int CAP = 64;

  /**
   * @param expires whether a request leaves the queue unrun when its deadline passes
   * @param rowLimit rows that may wait; what comes then is refused
   * @param padsShapes whether requests of one shape may be padded to another's, if the policy finds
   *     it worth it
   */
  record Queueing(boolean expires, int rowLimit, boolean padsShapes) {}

  private static final Queueing USUAL = new Queueing(true, Integer.MAX_VALUE, false);

  Workload {
    batchSizes = List.copyOf(batchSizes);
    if (runners < 1) {
      throw new IllegalArgumentException("runners must be positive: " + runners);
    }
  }

  /** One runner, no padding. */
  static Workload of(ServiceCurve curve, Traffic traffic) {
    return new Workload(curve, List.of(), traffic, 1, USUAL);
  }

  Workload withRunners(int count) {
    return new Workload(curve, batchSizes, traffic, count, queueing);
  }

  Workload withTraffic(Traffic other) {
    return new Workload(curve, batchSizes, other, runners, queueing);
  }

  /** Says that the model runs in sizes that are powers of two. */
  Workload withPowersOfTwo() {
    return new Workload(curve, List.of(1, 2, 4, 8, 16, 32, 64), traffic, runners, queueing);
  }

  /** Late requests are run all the same. */
  Workload withoutExpiry() {
    return with(new Queueing(false, queueing.rowLimit, queueing.padsShapes));
  }

  Workload withRowLimit(int rows) {
    return with(new Queueing(queueing.expires, rows, queueing.padsShapes));
  }

  Workload withPadding() {
    return with(new Queueing(queueing.expires, queueing.rowLimit, true));
  }

  private Workload with(Queueing other) {
    return new Workload(curve, batchSizes, traffic, runners, other);
  }
}

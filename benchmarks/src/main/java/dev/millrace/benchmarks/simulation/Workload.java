package dev.millrace.benchmarks.simulation;

/**
 * One model and the requests for it.
 *
 * @param traffic of requests that have no more rows than the cap
 * @param maxBatchSize cap on the rows of a batch
 * @param runners batches of the model that may run at once
 * @param expires whether a request leaves the queue unrun when its deadline passes, as the batcher
 *     has it
 * @param padsShapes whether requests of one shape may be padded to another's, if the policy finds
 *     it worth it
 */
record Workload(
    ServiceCurve curve,
    Traffic traffic,
    int maxBatchSize,
    int runners,
    boolean expires,
    boolean padsShapes) {

  /** The cap of all named sets. */
  static final int CAP = 64;

  Workload {
    if (maxBatchSize < 1 || runners < 1) {
      throw new IllegalArgumentException(
          "cap and runners must be positive: %d, %d".formatted(maxBatchSize, runners));
    }
  }

  /** One runner, the usual cap. */
  static Workload of(ServiceCurve curve, Traffic traffic) {
    return new Workload(curve, traffic, CAP, 1, true, false);
  }

  Workload withRunners(int count) {
    return new Workload(curve, traffic, maxBatchSize, count, expires, padsShapes);
  }

  Workload withTraffic(Traffic other) {
    return new Workload(curve, other, maxBatchSize, runners, expires, padsShapes);
  }

  /** Late requests are run all the same. */
  Workload withoutExpiry() {
    return new Workload(curve, traffic, maxBatchSize, runners, false, padsShapes);
  }

  Workload withPadding() {
    return new Workload(curve, traffic, maxBatchSize, runners, expires, true);
  }
}

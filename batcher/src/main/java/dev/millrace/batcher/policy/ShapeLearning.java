package dev.millrace.batcher.policy;

/** What is learned about one shape. Single-threaded. */
final class ShapeLearning {
  final long rowElements;
  final LatencyModel latency;
  final ArrivalRate rate = new ArrivalRate();
  final ArrivalLog log = new ArrivalLog();
  final HoldLearner holds = new HoldLearner();

  /** Share of one runner's time that this shape takes, as last booked. */
  double utilisation;

  /** Rows per nanosecond, as last booked. */
  double bookedRate;

  ShapeLearning(long rowElements, LatencyModel latency) {
    this.rowElements = rowElements;
    this.latency = latency;
  }
}

package dev.millrace.batcher.policy;

import dev.millrace.batcher.policy.LearnedState.CurvePoint;
import dev.millrace.batcher.policy.LearnedState.HoldState;
import dev.millrace.batcher.policy.LearnedState.ShapeState;
import java.util.ArrayList;
import java.util.List;

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

  /**
   * What was learned until now, for people.
   *
   * @param number of the shape
   * @param runners that share the load
   * @param maxHoldNanos bound on holds
   * @param saturated whether the runners are busy nearly all the time
   */
  ShapeState state(int number, int runners, double maxHoldNanos, boolean saturated) {
    List<CurvePoint> curve = new ArrayList<>();
    for (int size : latency.sampledSizes()) {
      curve.add(
          new CurvePoint(
              size, latency.predict(size), latency.deviation(size), latency.weight(size)));
    }
    List<HoldState> states = new ArrayList<>();
    for (int context = 0; context < holds.contexts(); context++) {
      if (holds.count(context) > 0) {
        double hold = holds.choose(context, latency.predict(1), saturated);
        states.add(
            new HoldState(
                HoldLearner.isCompletion(context),
                HoldLearner.rowsOf(context),
                holds.count(context),
                holds.bestGain(context),
                Math.min(hold, maxHoldNanos)));
      }
    }
    return new ShapeState(
        number,
        rowElements,
        latency.samples(),
        latency.tau(),
        latency.alpha(),
        curve,
        bookedRate * 1e9,
        utilisation / runners,
        states);
  }
}

package dev.millrace.batcher.policy;

import java.util.List;

/**
 * What an {@link AdaptivePolicy} has learned, at one moment. Immutable.
 *
 * @param shapes by number
 * @param concurrency batches that may run at once
 * @param standing whether a queue stands
 * @param utilisation of the runners, over all shapes, by what arrives; above 1 in overload
 * @param slowdown of a run among 1, 2, 3, ... runs, relative to one alone
 */
public record LearnedState(
    List<ShapeState> shapes,
    int concurrency,
    boolean standing,
    double utilisation,
    List<Double> slowdown) {
  public LearnedState {
    shapes = List.copyOf(shapes);
    slowdown = List.copyOf(slowdown);
  }

  /**
   * One shape of requests.
   *
   * @param rowElements elements of a row
   * @param samples batches that were learned from
   * @param tauNanos fixed part of the fitted line
   * @param alphaNanos part per row of the fitted line
   * @param curve sizes that were run, ascending
   * @param rowsPerSecond that arrive
   * @param utilisation share of the runners' time that they take
   * @param holds what holding back would bring, by situation
   */
  public record ShapeState(
      int shape,
      long rowElements,
      long samples,
      double tauNanos,
      double alphaNanos,
      List<CurvePoint> curve,
      double rowsPerSecond,
      double utilisation,
      List<HoldState> holds) {
    public ShapeState {
      curve = List.copyOf(curve);
      holds = List.copyOf(holds);
    }
  }

  /**
   * One size of batch.
   *
   * @param nanos that it is predicted to take, alone
   * @param deviationNanos mean absolute deviation
   * @param weight of what was measured, at most 20
   */
  public record CurvePoint(int rows, double nanos, double deviationNanos, double weight) {}

  /**
   * One situation in which a runner could hold back.
   *
   * @param completion whether the runner had just ended a batch; it was idle otherwise
   * @param leastRows that waited; less than twice as many
   * @param decisions judged
   * @param gain of the best hold, as a share of the rows' run time; negative if none pays
   * @param holdNanos the hold that is used; 0 for none
   */
  public record HoldState(
      boolean completion, int leastRows, int decisions, double gain, double holdNanos) {}
}

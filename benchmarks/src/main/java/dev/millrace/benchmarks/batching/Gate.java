package dev.millrace.benchmarks.batching;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.DoublePredicate;

/**
 * What a batcher has to reach, measured on sockets with an engine of known speed.
 *
 * @param name of the gate, as in G1
 * @param what is measured, for people
 * @param aim as a bound
 * @param atLeast whether {@code aim} is a lower bound
 * @param measurement once; takes some seconds
 */
record Gate(String name, String what, double aim, boolean atLeast, Measurement measurement) {
  /** Measures one figure with servers of its own. */
  @FunctionalInterface
  interface Measurement {
    double measure(double seconds, int round) throws IOException;
  }

  /** One round of so many seconds a leg. */
  double measure(double seconds, int round) throws IOException {
    return measurement.measure(seconds, round);
  }

  /** The median of so many rounds. */
  double median(int rounds, double seconds) throws IOException {
    List<Double> figures = new ArrayList<>();
    for (int round = 1; round <= rounds; round++) {
      figures.add(measure(seconds, round));
    }
    return BatchingReport.median(figures);
  }

  /**
   * The figures of rounds that are measured until their median does, or there are too many.
   *
   * @param enough whether a median does
   */
  List<Double> until(DoublePredicate enough, int mostRounds, double seconds) throws IOException {
    List<Double> figures = new ArrayList<>();
    while (figures.size() < mostRounds) {
      figures.add(measure(seconds, figures.size() + 1));
      if (enough.test(BatchingReport.median(figures))) {
        break;
      }
    }
    return figures;
  }

  boolean isReached(double figure) {
    return atLeast ? figure >= aim : figure <= aim;
  }

  String line(double figure) {
    return String.format(
        Locale.ROOT,
        "| %s | %s | %.3f | %s %.2f | %s |",
        name,
        what,
        figure,
        atLeast ? "≥" : "≤",
        aim,
        isReached(figure) ? "yes" : "**no**");
  }
}

package dev.millrace.benchmarks.simulation;

import java.util.List;

/**
 * One row of a set: runs that differ in chance only, whose figures are averaged.
 *
 * @param group what the rows of a table are put together by
 */
record Cell(String group, String name, List<Scenario> runs) {
  Cell {
    runs = List.copyOf(runs);
  }

  /** Figures of one policy, averaged over the runs. */
  Figures run(PolicyFactory policy) {
    double mean = 0;
    double p50 = 0;
    double p99 = 0;
    double rate = 0;
    double good = 0;
    double rows = 0;
    for (Scenario scenario : runs) {
      Tally tally = Simulation.run(scenario, policy);
      mean += tally.meanMillis();
      p50 += tally.quantileMillis(0.5);
      p99 += tally.p99Millis();
      rate += tally.rowsPerSecond();
      good += tally.goodRowsPerSecond();
      rows += tally.rowsPerBatch();
    }
    int count = runs.size();
    return new Figures(
        mean / count, p50 / count, p99 / count, rate / count, good / count, rows / count);
  }

  /**
   * What one policy did in one cell. Times in milliseconds, rates in rows per second.
   *
   * @param good rows in time
   */
  record Figures(
      double mean, double p50, double p99, double rate, double good, double rowsPerBatch) {

    /** The better of the two in each figure. */
    Figures best(Figures other) {
      return new Figures(
          Math.min(mean, other.mean),
          Math.min(p50, other.p50),
          Math.min(p99, other.p99),
          Math.max(rate, other.rate),
          Math.max(good, other.good),
          Math.max(rowsPerBatch, other.rowsPerBatch));
    }
  }

  /** Of each figure the best that any of the settings gives: no single one need have them all. */
  Figures oracle(List<Contender> settings) {
    return settings.stream().map(this::run).reduce(Figures::best).orElseThrow();
  }
}

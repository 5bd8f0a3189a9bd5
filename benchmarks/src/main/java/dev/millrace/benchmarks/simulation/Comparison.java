package dev.millrace.benchmarks.simulation;

import dev.millrace.benchmarks.simulation.Cell.Figures;
import java.util.ArrayList;
import java.util.List;

/**
 * Policies against the oracle, cell by cell. Ratios are made such that 1 is the oracle and more is
 * worse.
 */
record Comparison(List<Contender> contenders, List<Row> rows) {

  /**
   * One cell.
   *
   * @param figures of each contender, in their order
   */
  record Row(Cell cell, Figures oracle, List<Figures> figures) {}

  /** What is compared. */
  enum Metric {
    /** Mean time from arrival to answer. */
    MEAN("mean"),
    /** Its 99th percentile. */
    P99("p99"),
    /** Rows answered in a second: the oracle's over the policy's. */
    THROUGHPUT("throughput lost");

    private final String label;

    Metric(String label) {
      this.label = label;
    }

    double ratio(Figures figures, Figures oracle) {
      return switch (this) {
        case MEAN -> figures.mean() / oracle.mean();
        case P99 -> figures.p99() / oracle.p99();
        case THROUGHPUT -> oracle.rate() / figures.rate();
      };
    }

    @Override
    public String toString() {
      return label;
    }
  }

  /** Runs all: every contender and the whole sweep of fixed settings in every cell. */
  static Comparison run(List<Cell> cells, List<Contender> contenders) {
    return run(cells, contenders, Contender.sweep());
  }

  /** Runs all, with the best of those settings as the oracle. */
  static Comparison run(List<Cell> cells, List<Contender> contenders, List<Contender> settings) {
    List<Row> rows = new ArrayList<>();
    for (Cell cell : cells) {
      rows.add(
          new Row(
              cell,
              cell.oracle(settings),
              contenders.stream().map(contender -> contender.run(cell)).toList()));
    }
    return new Comparison(contenders, rows);
  }

  /** A contender's ratio in every cell. */
  double[] ratios(int contender, Metric metric) {
    return rows.stream()
        .mapToDouble(row -> metric.ratio(row.figures().get(contender), row.oracle()))
        .toArray();
  }

  /** The geometric mean of that. */
  static double geometricMean(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += Math.log(value);
    }
    return Math.exp(sum / values.length);
  }

  /** The largest. */
  static double worst(double[] values) {
    double worst = 0;
    for (double value : values) {
      worst = Math.max(worst, value);
    }
    return worst;
  }
}

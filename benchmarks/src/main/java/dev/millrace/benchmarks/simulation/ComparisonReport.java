package dev.millrace.benchmarks.simulation;

import dev.millrace.benchmarks.simulation.Cell.Figures;
import dev.millrace.benchmarks.simulation.Comparison.Metric;
import java.util.ArrayList;
import java.util.List;

/** A comparison as Markdown. */
final class ComparisonReport {
  private final Comparison comparison;

  ComparisonReport(Comparison comparison) {
    this.comparison = comparison;
  }

  /** Geometric mean and worst case over the cells. */
  String summary() {
    List<Contender> contenders = comparison.contenders();
    MarkdownTable table = table("oracle = 1", contenders);
    for (Metric metric : Metric.values()) {
      List<String> fields = new ArrayList<>(List.of(metric + ", geometric mean / worst"));
      for (int i = 0; i < contenders.size(); i++) {
        double[] ratios = comparison.ratios(i, metric);
        fields.add(
            MarkdownTable.number(Comparison.geometricMean(ratios), 3)
                + " / "
                + MarkdownTable.number(Comparison.worst(ratios), 2));
      }
      table.row(fields);
    }
    return table.toString();
  }

  /** Every cell: what the oracle has, and each policy to that. */
  String cells() {
    MarkdownTable table =
        table(
            "cell: mean / p99 / throughput lost",
            comparison.contenders(),
            "oracle: mean ms / p99 ms / rows/s");
    for (int i = 0; i < comparison.rows().size(); i++) {
      Comparison.Row row = comparison.rows().get(i);
      Figures oracle = row.oracle();
      List<String> fields = new ArrayList<>();
      fields.add("%d %s %s".formatted(i, row.cell().group(), row.cell().name()));
      fields.add(
          String.join(
              " / ",
              MarkdownTable.number(oracle.mean(), 3),
              MarkdownTable.number(oracle.p99(), 3),
              MarkdownTable.number(oracle.rate(), 0)));
      for (Figures figures : row.figures()) {
        List<String> ratios = new ArrayList<>();
        for (Metric metric : Metric.values()) {
          ratios.add(MarkdownTable.number(metric.ratio(figures, oracle), 3));
        }
        fields.add(String.join(" / ", ratios));
      }
      table.row(fields);
    }
    return table.toString();
  }

  /** A table with a column for each contender. */
  static MarkdownTable table(String first, List<Contender> contenders, String... more) {
    List<String> titles = new ArrayList<>(List.of(first));
    titles.addAll(List.of(more));
    contenders.forEach(contender -> titles.add(contender.name()));
    return new MarkdownTable(titles);
  }
}

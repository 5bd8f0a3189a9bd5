package dev.millrace.benchmarks.simulation;

import dev.millrace.benchmarks.simulation.NamedSets.GoodputCell;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What was answered in time, as a share of the capacity. */
final class GoodputReport {
  private final List<Contender> contenders;
  private final Map<GoodputCell, double[]> shares = new LinkedHashMap<>();

  /** Runs every contender in every cell. */
  GoodputReport(List<GoodputCell> cells, List<Contender> contenders) {
    this.contenders = contenders;
    for (GoodputCell cell : cells) {
      shares.put(
          cell,
          contenders.stream()
              .mapToDouble(contender -> contender.run(cell.cell()).good() / cell.capacity())
              .toArray());
    }
  }

  private static String arrivals(GoodputCell cell) {
    return (cell.bursts() ? "bursts of 8, load " : "Poisson, load ") + cell.load();
  }

  /** The median over curves and deadlines, the upper of the two in the middle, and the least. */
  String summary() {
    Map<String, List<double[]>> loads = new LinkedHashMap<>();
    shares.forEach((cell, values) ->
        loads.computeIfAbsent(arrivals(cell), _ -> new ArrayList<>()).add(values));
    MarkdownTable table =
        ComparisonReport.table("share of capacity in time, median (least)", contenders);
    loads.forEach((load, rows) -> {
      List<String> fields = new ArrayList<>(List.of(load));
      for (int i = 0; i < contenders.size(); i++) {
        int index = i;
        double[] sorted = rows.stream().mapToDouble(row -> row[index]).sorted().toArray();
        fields.add(
            "%s (%s)"
                .formatted(
                    MarkdownTable.number(sorted[sorted.length / 2], 2),
                    MarkdownTable.number(sorted[0], 2)));
      }
      table.row(fields);
    });
    return table.toString();
  }

  /** Every cell. */
  String cells() {
    MarkdownTable table = ComparisonReport.table("cell", contenders);
    shares.forEach((cell, values) -> {
      List<String> fields = new ArrayList<>();
      fields.add("%s, %s, %s".formatted(arrivals(cell), cell.curve(), cell.cell().name()));
      for (double value : values) {
        fields.add(MarkdownTable.number(value, 3));
      }
      table.row(fields);
    });
    return table.toString();
  }
}

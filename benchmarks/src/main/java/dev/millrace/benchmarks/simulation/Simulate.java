package dev.millrace.benchmarks.simulation;

import dev.millrace.benchmarks.simulation.Comparison.Metric;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Runs sets of scenarios and prints tables. */
@Command(
    name = "simulate",
    description = "Simulates batch policies on service curves and arrival processes.",
    mixinStandardHelpOptions = true)
public final class Simulate implements Callable<Integer> {
  @Parameters(arity = "1..*", description = "closed, poisson, bursts, mmpp, onoff, goodput, random")
  private List<String> sets = List.of();

  @Option(
      names = "--policies",
      split = ",",
      description = "Beside the oracle; default: ${DEFAULT-VALUE}")
  private List<String> policies = List.of("adaptive", "greedy", "T=1", "T=5");

  @Option(names = "--seconds", description = "Simulated in each run of a named set; default: 30")
  private double seconds = 30;

  @Option(names = "--seeds", description = "Runs of each named cell, 1 to 3; default: 3")
  private int seeds = 3;

  @Option(names = "--seed", description = "Draws the random set")
  private long seed = 1;

  @Option(names = "--count", description = "Scenarios of the random set; default: 200")
  private int count = 200;

  @Option(names = "--cells", description = "Print every cell")
  private boolean printCells;

  @Option(names = "--only", split = ",", description = "Run the cells of these numbers only")
  private List<Integer> only = List.of();

  private final PrintStream out = System.out;

  /** See {@code --help}. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new Simulate()).execute(args));
  }

  @Override
  public Integer call() {
    List<Contender> contenders = policies.stream().map(Rivals::named).toList();
    NamedSets named = new NamedSets(seconds, seeds);
    for (String set : sets) {
      switch (set) {
        case "closed" -> compare("Closed loop", named.closedLoops(), contenders);
        case "poisson" -> compare("Poisson", named.poisson(), contenders);
        case "bursts" -> compare("Bursts of 8", named.bursts(), contenders);
        case "mmpp" -> compare("MMPP, 10 to 1", named.modulated(), contenders);
        case "onoff" -> compare("On and off", named.onOff(), contenders);
        case "goodput" -> goodput(named.goodput(), contenders);
        case "random" ->
            compare("Random, seed " + seed, RandomScenarios.draw(seed, count), contenders);
        default ->
            throw new CommandLine.ParameterException(
                new CommandLine(this), "no set is called '" + set + "'");
      }
    }
    return 0;
  }

  private void compare(String title, List<Cell> all, List<Contender> contenders) {
    List<Cell> cells = only.isEmpty() ? all : only.stream().map(all::get).toList();
    Comparison comparison = Comparison.run(cells, contenders);
    out.printf("## %s: %d cells%n%n", title, cells.size());
    List<String> titles = new ArrayList<>(List.of("to the oracle, geometric mean / worst"));
    contenders.forEach(contender -> titles.add(contender.name()));
    MarkdownTable table = new MarkdownTable(titles);
    for (Metric metric : Metric.values()) {
      List<String> fields = new ArrayList<>(List.of(metric.toString()));
      for (int i = 0; i < contenders.size(); i++) {
        double[] ratios = comparison.ratios(i, metric);
        fields.add(
            MarkdownTable.number(Comparison.geometricMean(ratios), 3)
                + " / "
                + MarkdownTable.number(Comparison.worst(ratios), 3));
      }
      table.row(fields);
    }
    out.println(table);
    if (printCells) {
      cells(comparison);
    }
  }

  private void cells(Comparison comparison) {
    List<String> titles = new ArrayList<>(List.of("cell", "oracle mean ms", "p99 ms", "rows/s"));
    comparison
        .contenders()
        .forEach(contender -> titles.add(contender.name() + " mean / p99 / lost"));
    MarkdownTable table = new MarkdownTable(titles);
    for (int i = 0; i < comparison.rows().size(); i++) {
      Comparison.Row row = comparison.rows().get(i);
      List<String> fields = new ArrayList<>();
      fields.add("%d %s %s".formatted(i, row.cell().group(), row.cell().name()));
      fields.add(MarkdownTable.number(row.oracle().mean(), 3));
      fields.add(MarkdownTable.number(row.oracle().p99(), 3));
      fields.add(MarkdownTable.number(row.oracle().rate(), 0));
      row.figures()
          .forEach(figures -> {
            List<String> ratios = new ArrayList<>();
            for (Metric metric : Metric.values()) {
              ratios.add(MarkdownTable.number(metric.ratio(figures, row.oracle()), 3));
            }
            fields.add(String.join(" / ", ratios));
          });
      table.row(fields);
    }
    out.println(table);
  }

  private void goodput(List<NamedSets.GoodputCell> cells, List<Contender> contenders) {
    out.printf("## Goodput: %d cells%n%n", cells.size());
    List<String> titles = new ArrayList<>(List.of("share of capacity, median (worst) of 14"));
    contenders.forEach(contender -> titles.add(contender.name()));
    MarkdownTable summary = new MarkdownTable(titles);
    List<String> cellTitles = new ArrayList<>(titles);
    cellTitles.set(0, "cell");
    MarkdownTable every = new MarkdownTable(cellTitles);
    Map<String, List<double[]>> rows = new LinkedHashMap<>();
    for (NamedSets.GoodputCell cell : cells) {
      double[] shares =
          contenders.stream()
              .mapToDouble(contender -> contender.run(cell.cell()).good() / cell.capacity())
              .toArray();
      String arrivals = (cell.bursts() ? "bursts" : "poisson") + " " + cell.load();
      rows.computeIfAbsent(arrivals, _ -> new ArrayList<>()).add(shares);
      List<String> fields = new ArrayList<>();
      fields.add("%s %s %s".formatted(arrivals, cell.curve(), cell.cell().name()));
      for (double share : shares) {
        fields.add(MarkdownTable.number(share, 3));
      }
      every.row(fields);
    }
    rows.forEach((arrivals, shares) -> {
      List<String> fields = new ArrayList<>(List.of(arrivals));
      for (int i = 0; i < contenders.size(); i++) {
        int index = i;
        double[] sorted = shares.stream().mapToDouble(row -> row[index]).sorted().toArray();
        fields.add(
            "%s (%s)"
                .formatted(
                    MarkdownTable.number(sorted[sorted.length / 2], 2),
                    MarkdownTable.number(sorted[0], 2)));
      }
      summary.row(fields);
    });
    out.println(summary);
    if (printCells) {
      out.println(every);
    }
  }
}

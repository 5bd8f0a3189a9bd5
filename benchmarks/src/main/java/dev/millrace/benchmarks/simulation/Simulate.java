package dev.millrace.benchmarks.simulation;

import dev.millrace.benchmarks.simulation.Comparison.Metric;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Runs sets of scenarios, prints tables and writes plots. */
@Command(
    name = "simulate",
    description = "Simulates batch policies on service curves and arrival processes.",
    mixinStandardHelpOptions = true)
public final class Simulate implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(
      arity = "1..*",
      description =
          "closed, poisson, bursts, mmpp, onoff, random, goodput, concurrency, rows, shapes,"
              + " lengths, padding, drift, changes, priorities, devices, recorded, load")
  private List<String> sets = List.of();

  @Option(names = "--policies", split = ",", description = "Default: ${DEFAULT-VALUE}")
  private List<String> policies =
      List.of("adaptive", "greedy", "T=1", "T=5", "triton", "serving", "cork");

  @Option(names = "--seconds", description = "Of each run of a named set; default: 30")
  private double seconds = 30;

  @Option(names = "--seeds", description = "Runs of each named cell, 1 to 3; default: 3")
  private int seeds = 3;

  @Option(names = "--seed", description = "Draws the random set")
  private @Nullable Long seed;

  @Option(names = "--count", description = "Scenarios of the random set; default: 200")
  private int count = 200;

  @Option(names = "--recording", description = "CSV file for the recorded set")
  private @Nullable Path recording;

  @Option(names = "--cells", description = "Print every cell")
  private boolean printCells;

  @Option(names = "--only", split = ",", description = "Run the cells of these numbers only")
  private List<Integer> only = List.of();

  @Option(names = "--plots", description = "Write plots to this directory")
  private @Nullable Path plots;

  private final PrintStream out = System.out;

  /** See {@code --help}. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new Simulate()).execute(args));
  }

  @Override
  public Integer call() throws IOException {
    List<Contender> contenders = new ArrayList<>();
    for (String name : policies) {
      try {
        contenders.add(Rivals.named(name));
      } catch (IllegalArgumentException e) {
        throw refusal(e.getMessage());
      }
    }
    if (seeds < 1 || seeds > 3) {
      throw refusal("--seeds is 1 to 3, not " + seeds);
    }
    for (String set : sets) {
      run(set, contenders);
    }
    return 0;
  }

  private ParameterException refusal(@Nullable String why) {
    return new ParameterException(
        spec == null ? new CommandLine(this) : spec.commandLine(), String.valueOf(why));
  }

  private void run(String set, List<Contender> contenders) throws IOException {
    NamedSets named = new NamedSets(seconds, seeds);
    WiderSets wider = new WiderSets(seconds);
    switch (set) {
      case "closed" -> compare(set, "Closed loop", named.closedLoops(), contenders);
      case "poisson" -> compare(set, "Poisson", named.poisson(), contenders);
      case "bursts" -> compare(set, "Bursts of 8", named.bursts(), contenders);
      case "mmpp" -> compare(set, "MMPP, 10 to 1", named.modulated(), contenders);
      case "onoff" -> compare(set, "On and off", named.onOff(), contenders);
      case "random" -> random(contenders);
      case "goodput" -> {
        List<Contender> all = new ArrayList<>(contenders);
        all.add(Rivals.named("clipper"));
        all.add(Rivals.named("fifo"));
        GoodputReport report = new GoodputReport(named.goodput(), all);
        print("Goodput", report.summary(), report.cells());
      }
      case "concurrency" -> concurrency(wider, contenders);
      case "rows" -> compare(set, "Requests of 1 to 16 rows", wider.rows(), contenders);
      case "shapes" -> compare(set, "Four shapes", wider.shapes(), contenders);
      case "lengths" ->
          compare(set, "Five lengths, never padded", wider.lengths(false), contenders);
      case "padding" -> {
        List<Contender> all = new ArrayList<>(contenders);
        all.add(new Contender("always pad", (workload, warmUp) -> new AlwaysPadding()));
        compare(
            set,
            "Five lengths, padded if worth it; the oracle never pads",
            wider.lengths(true),
            all);
      }
      case "drift" -> compare(set, "Drift by a factor of 3", wider.drift(), contenders);
      case "changes" -> changes(contenders);
      case "priorities" -> print("Two classes", Priorities.report(contenders), "");
      case "devices" -> print("Models on one device", SharedDevice.report(contenders), "");
      case "recorded" -> {
        if (recording == null) {
          throw refusal("the recorded set needs --recording FILE");
        }
        compare(set, "Recorded", WiderSets.recorded(recording), contenders);
      }
      case "load" -> {
        if (plots == null) {
          throw refusal("the load set is plots only and needs --plots DIRECTORY");
        }
        for (NamedCurve curve : NamedCurve.values()) {
          new Plots(plots).loads(curve, contenders, seconds);
        }
      }
      default -> throw refusal("no set is called '" + set + "'");
    }
  }

  private void random(List<Contender> contenders) throws IOException {
    if (seed == null) {
      throw refusal("the random set needs --seed");
    }
    compare("random", "Random, seed " + seed, RandomScenarios.draw(seed, count), contenders);
  }

  private void compare(String set, String title, List<Cell> cells, List<Contender> contenders)
      throws IOException {
    report(set, title, Comparison.run(chosen(cells), contenders));
  }

  private void concurrency(WiderSets wider, List<Contender> contenders) throws IOException {
    List<Contender> all = new ArrayList<>(contenders);
    all.addAll(Contender.concurrencies());
    report(
        "concurrency",
        "Four runners; the oracle is the best number of batches at once",
        Comparison.run(chosen(wider.concurrency()), all, Contender.concurrencies()));
  }

  private List<Cell> chosen(List<Cell> cells) {
    return only.isEmpty() ? cells : only.stream().map(cells::get).toList();
  }

  private void report(String set, String title, Comparison comparison) throws IOException {
    ComparisonReport report = new ComparisonReport(comparison);
    print(
        "%s: %d cells".formatted(title, comparison.rows().size()),
        report.summary(),
        report.cells());
    if (plots != null) {
      for (Metric metric : Metric.values()) {
        new Plots(plots).distribution(set, comparison, metric);
      }
    }
  }

  private void changes(List<Contender> contenders) {
    MarkdownTable table =
        ComparisonReport.table(
            "mean latency to the best fixed setting, 50 batches after", contenders);
    for (Change change : Change.all()) {
      List<String> fields = new ArrayList<>(List.of(change.name()));
      for (Contender contender : contenders) {
        fields.add(MarkdownTable.number(change.ratioAfter(50, contender), 3));
      }
      table.row(fields);
    }
    print("Changes", table.toString(), "");
  }

  private void print(String title, String summary, String cells) {
    out.printf("## %s%n%n%s%n", title, summary);
    if (printCells && !cells.isEmpty()) {
      out.println(cells);
    }
  }
}

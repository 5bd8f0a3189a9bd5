package dev.millrace.benchmarks.load;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/** Prints the measurements of a load run as Markdown: medians over its rounds. */
public final class Report {
  private final Map<String, List<Leg>> legs;
  private final PrintStream out;

  Report(Map<String, List<Leg>> legs, PrintStream out) {
    this.legs = legs;
    this.out = out;
  }

  /** One line of {@code legs.tsv}; times in microseconds, CPU times too. */
  record Leg(
      String name,
      long requests,
      long elapsed,
      long failures,
      long serverCpu,
      long clientCpu,
      long otherCpu,
      long p50,
      long p99) {
    static Leg parse(String line) {
      String[] fields = line.split("\t", -1);
      long[] numbers = new long[fields.length];
      for (int i = 1; i < fields.length; i++) {
        numbers[i] = Long.parseLong(fields[i]);
      }
      return new Leg(
          fields[0],
          numbers[1],
          numbers[2],
          numbers[3],
          numbers[4],
          numbers[5],
          numbers[6],
          numbers[7],
          numbers[8]);
    }

    double perSecond() {
      return requests * 1e6 / elapsed;
    }

    /** Of server and client. */
    double cpuPerRequest() {
      return (double) (serverCpu + clientCpu) / requests;
    }
  }

  /**
   * Prints the report.
   *
   * @param args the directory that {@code benchmarks/run} wrote
   */
  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      throw new IllegalArgumentException("expected one argument, the directory of the run");
    }
    Path directory = Path.of(args[0]);
    Map<String, List<Leg>> legs = read(Files.readAllLines(directory.resolve("legs.tsv")));
    new Report(legs, System.out).print(directory);
  }

  static Map<String, List<Leg>> read(List<String> lines) {
    Map<String, List<Leg>> legs = new LinkedHashMap<>();
    for (String line : lines) {
      Leg leg = Leg.parse(line);
      legs.computeIfAbsent(leg.name(), name -> new ArrayList<>()).add(leg);
    }
    return legs;
  }

  private void print(Path directory) throws IOException {
    environment("Load run", directory);
    targets();
    legs();
    out.println("## Start-up and allocation\n");
    List<Double> startup =
        Files.readAllLines(directory.resolve("startup-millis")).stream()
            .map(Double::valueOf)
            .toList();
    out.printf(
        Locale.ROOT,
        "Start to ready, all three models: median %.0f ms of %d starts.%n%n",
        median(startup),
        startup.size());
    out.println("| request | requests | bytes of heap a request |\n|---|--:|--:|");
    for (String line : Files.readAllLines(directory.resolve("allocated"))) {
      out.println("| " + line.replace("\t", " | ") + " |");
    }
  }

  /** What was measured, where and how. */
  void environment(String title, Path directory) throws IOException {
    RunEnvironment.print(title, out);
    out.printf(
        "%d rounds; in-process engine (callers, threads of one run, batch): %s.%n%n",
        legs.values().iterator().next().size(),
        String.join("; ", Files.readAllLines(directory.resolve("engine-settings"))));
  }

  /** What Millrace did, beside what the parts of the same work do alone. */
  private void targets() {
    targetsHead();
    target("(b)/(a), tiny model, JSON", "0.5", "millrace-simple.json", "bare-simple.json");
    target("(b)/(a), tiny model, binary", "", "millrace-simple.binary", "bare-simple.binary");
    target("(b)/(a), tiny model, gRPC", "", "millrace-simple.grpc", "bare-simple.grpc");
    target("(d)/(c), MiniLM, binary", "0.9", "millrace-minilm.binary", "engine-minilm");
    target(
        "(d)/sum, MiniLM, binary",
        "",
        "millrace-minilm.binary",
        "engine-minilm",
        "bare-minilm.binary");
    target(
        "(d)/sum, MiniLM, JSON", "", "millrace-minilm.json", "engine-minilm", "bare-minilm.json");
    target(
        "(d)/sum, 0.1 ms model, JSON",
        "0.9",
        "millrace-dense.json",
        "engine-dense",
        "bare-dense.json");
    out.println();
  }

  void targetsHead() {
    out.println("## What was aimed at\n");
    out.println("| | of rates | of CPU time | aim |\n|---|--:|--:|--:|");
  }

  /** A line that compares one leg with the sum of others. */
  void target(String what, String aim, String of, String... parts) {
    if (legs.containsKey(of)) {
      out.printf(
          Locale.ROOT,
          "| %s | %.2f | %.2f | %s |%n",
          what,
          compare(of, parts, leg -> 1 / leg.perSecond()),
          compare(of, parts, Leg::cpuPerRequest),
          aim);
    }
  }

  /**
   * Median over the rounds of what a request costs in all the parts together, over what it costs in
   * {@code of}.
   */
  private double compare(String of, String[] parts, ToDoubleFunction<Leg> cost) {
    List<Double> sums = new ArrayList<>(costs(of, leg -> 0));
    for (String part : parts) {
      List<Double> costs = costs(part, cost);
      for (int i = 0; i < sums.size(); i++) {
        sums.set(i, sums.get(i) + costs.get(i));
      }
    }
    List<Double> whole = costs(of, cost);
    for (int i = 0; i < sums.size(); i++) {
      sums.set(i, sums.get(i) / whole.get(i));
    }
    return median(sums);
  }

  private List<Double> costs(String name, ToDoubleFunction<Leg> cost) {
    return legs.getOrDefault(name, List.of()).stream().map(cost::applyAsDouble).toList();
  }

  /** What each leg did. */
  void legs() {
    out.println("## What was measured\n");
    out.println("Medians of the rounds; CPU is of one CPU, a request or row.\n");
    out.println(
        "| leg | per second | min-max | p50 ms | p99 ms | server CPU us | client CPU us | other load | failures |");
    out.println("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    int cpus = Runtime.getRuntime().availableProcessors();
    legs.forEach((name, rounds) ->
        out.printf(
            Locale.ROOT,
            "| %s | %.0f | %.0f-%.0f | %s | %s | %.1f | %.1f | %.0f %% | %d |%n",
            name,
            median(rounds, Leg::perSecond),
            rounds.stream().mapToDouble(Leg::perSecond).min().orElse(0),
            rounds.stream().mapToDouble(Leg::perSecond).max().orElse(0),
            millis(median(rounds, Leg::p50)),
            millis(median(rounds, Leg::p99)),
            median(rounds, leg -> (double) leg.serverCpu() / leg.requests()),
            median(rounds, leg -> (double) leg.clientCpu() / leg.requests()),
            median(rounds, leg -> 100.0 * leg.otherCpu() / leg.elapsed() / cpus),
            rounds.stream().mapToLong(Leg::failures).sum()));
    out.println();
  }

  private static String millis(double micros) {
    return micros == 0 ? "" : String.format(Locale.ROOT, "%.2f", micros / 1000);
  }

  private static double median(List<Leg> rounds, ToDoubleFunction<Leg> value) {
    return median(rounds.stream().map(value::applyAsDouble).toList());
  }

  static double median(List<Double> values) {
    List<Double> sorted = values.stream().sorted().toList();
    int half = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(half)
        : (sorted.get(half - 1) + sorted.get(half)) / 2;
  }
}

package dev.millrace.benchmarks.batching;

import dev.millrace.benchmarks.load.RunEnvironment;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.HdrHistogram.Histogram;

/** Prints the measurements of a batching run as Markdown. */
public final class BatchingReport {
  private static final String DEFAULT = ServedSetting.DEFAULT.name();

  private final Map<String, List<Leg>> models;
  private final PrintStream out;

  private BatchingReport(Map<String, List<Leg>> models, PrintStream out) {
    this.models = models;
    this.out = out;
  }

  /**
   * Prints the report.
   *
   * @param args the directory that {@code benchmarks/batching} wrote
   */
  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      throw new IllegalArgumentException("expected one argument, the directory of the run");
    }
    Path directory = Path.of(args[0]);
    Map<String, List<Leg>> models = new LinkedHashMap<>();
    Path legs = directory.resolve("legs.tsv");
    for (String line : Files.exists(legs) ? Files.readAllLines(legs) : List.<String>of()) {
      Leg leg = Leg.parse(line);
      models.computeIfAbsent(leg.model(), name -> new ArrayList<>()).add(leg);
    }
    RunEnvironment.print("Batching run", System.out);
    new BatchingReport(models, System.out).print(directory);
  }

  private void print(Path directory) throws IOException {
    out.println("## What was aimed at\n");
    if (!models.isEmpty()) {
      targets();
    }
    sharing(directory.resolve("sharing.tsv"));
    gates(directory.resolve("gates.md"));
    models.forEach(this::legs);
  }

  private void targets() {
    out.println("Defaults, beside the best that somebody could have set.\n");
    out.println(
        "| model | throughput / best fixed (aim 0.97) | best fixed | p99 at 5 % load / unbatched (aim 1.05) | goodput at 2x / capacity (aim 0.9) |");
    out.println("|---|--:|---|--:|--:|");
    models.forEach(this::targets);
    out.println();
  }

  private void targets(String model, List<Leg> all) {
    List<Leg> saturation = of(all, Leg.Kind.SATURATION);
    List<Leg> lone = of(all, Leg.Kind.LONE);
    List<Leg> overload = of(all, Leg.Kind.OVERLOAD);
    String best = best(saturation);
    String unbatched = quickest(lone);
    double capacity = perSecond(saturation, best);
    out.printf(
        Locale.ROOT,
        "| %s | %.3f | %s, %.0f/s | %.3f (%s; rounds %s) | %.3f%s |%n",
        model,
        median(ratios(saturation, DEFAULT, best, Leg::perSecond)),
        best,
        capacity,
        pooled(lone, DEFAULT).getValueAtPercentile(99)
            / (double) pooled(lone, unbatched).getValueAtPercentile(99),
        unbatched,
        list(ratios(lone, DEFAULT, unbatched, leg -> leg.micros(99))),
        median(values(overload, DEFAULT, Leg::goodput)) / capacity,
        overload.stream().anyMatch(Leg::fellBehind) ? " (client behind)" : "");
  }

  private void sharing(Path file) throws IOException {
    if (!Files.exists(file)) {
      return;
    }
    List<Double> shares =
        Files.readAllLines(file).stream()
            .map(line -> Double.valueOf(line.split("\t", -1)[1]))
            .toList();
    out.println("## Two models on one device\n");
    out.printf(
        Locale.ROOT,
        "Both saturated, weights 1:1: %s gets %.1f %% of the time inside predictors (rounds %s), %s the"
            + " rest. Aim: 45 to 55 %%.%n%n",
        BatchingFiles.SHARING.getFirst().shortName(),
        100 * median(shares),
        list(shares),
        BatchingFiles.SHARING.getLast().shortName());
  }

  private void gates(Path file) throws IOException {
    if (Files.exists(file)) {
      out.println("## Gates on sockets\n");
      Files.readAllLines(file).forEach(out::println);
      out.println();
    }
  }

  private void legs(String model, List<Leg> all) {
    out.printf("## %s%n%n", model);
    out.println(
        "| what | setting | offered | per second | in time | p50 ms | p99 ms | not answered well | server CPUs | client CPUs | other CPUs | rounds |");
    out.println("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (Leg.Kind kind : Leg.Kind.values()) {
      List<Leg> legs = of(all, kind);
      legs.stream()
          .map(Leg::setting)
          .distinct()
          .sorted(Comparator.comparingDouble((String setting) -> -perSecond(legs, setting)))
          .forEach(setting -> line(kind, setting, legs));
    }
    out.println();
  }

  private void line(Leg.Kind kind, String setting, List<Leg> legs) {
    List<Leg> rounds = legs.stream().filter(leg -> leg.setting().equals(setting)).toList();
    Histogram latency = pooled(legs, setting);
    out.printf(
        Locale.ROOT,
        "| %s%s | %s | %.0f | %.0f | %.0f | %.2f | %.2f | %d | %.2f | %.2f | %.2f | %d |%n",
        kind.name().toLowerCase(Locale.ROOT),
        rounds.getFirst().timeoutMicros() == 0
            ? ""
            : String.format(Locale.ROOT, ", %.0f ms", rounds.getFirst().timeoutMicros() / 1e3),
        setting,
        rounds.getFirst().offered(),
        perSecond(legs, setting),
        median(values(legs, setting, Leg::goodput)),
        latency.getValueAtPercentile(50) / 1e6,
        latency.getValueAtPercentile(99) / 1e6,
        rounds.stream().mapToLong(Leg::failures).sum(),
        median(values(legs, setting, Leg::serverCpus)),
        median(values(legs, setting, Leg::clientCpus)),
        median(values(legs, setting, Leg::otherCpus)),
        rounds.size());
  }

  /** The setting, other than the default, that did most: by the median over its rounds. */
  static String best(List<Leg> legs) {
    return legs.stream()
        .map(Leg::setting)
        .filter(setting -> !setting.equals(DEFAULT))
        .distinct()
        .max(Comparator.comparingDouble(setting -> perSecond(legs, setting)))
        .orElse(DEFAULT);
  }

  /** The setting, other than the default, with the lowest p99 over all rounds. */
  private static String quickest(List<Leg> legs) {
    return legs.stream()
        .map(Leg::setting)
        .filter(setting -> !setting.equals(DEFAULT))
        .distinct()
        .min(Comparator.comparingLong(setting -> pooled(legs, setting).getValueAtPercentile(99)))
        .orElse(DEFAULT);
  }

  /** Median over the rounds. */
  static double perSecond(List<Leg> legs, String setting) {
    return median(values(legs, setting, Leg::perSecond));
  }

  private static List<Leg> of(List<Leg> legs, Leg.Kind kind) {
    return legs.stream().filter(leg -> leg.kind() == kind).toList();
  }

  /** By round. */
  private static List<Double> values(List<Leg> legs, String setting, ToDoubleFunction<Leg> value) {
    return legs.stream()
        .filter(leg -> leg.setting().equals(setting))
        .sorted(Comparator.comparingInt(Leg::round))
        .map(value::applyAsDouble)
        .toList();
  }

  private static List<Double> ratios(
      List<Leg> legs, String of, String to, ToDoubleFunction<Leg> value) {
    List<Double> numerators = values(legs, of, value);
    List<Double> denominators = values(legs, to, value);
    List<Double> ratios = new ArrayList<>();
    for (int i = 0; i < Math.min(numerators.size(), denominators.size()); i++) {
      ratios.add(numerators.get(i) / denominators.get(i));
    }
    return ratios;
  }

  private static Histogram pooled(List<Leg> legs, String setting) {
    Histogram sum = new Histogram(3);
    legs.stream()
        .filter(leg -> leg.setting().equals(setting))
        .forEach(leg -> sum.add(leg.latency()));
    return sum;
  }

  private static String list(List<Double> values) {
    List<String> texts = new ArrayList<>();
    values.forEach(value -> texts.add(String.format(Locale.ROOT, "%.2f", value)));
    return String.join(" ", texts);
  }

  /** NaN of nothing. */
  static double median(List<Double> values) {
    if (values.isEmpty()) {
      return Double.NaN;
    }
    List<Double> sorted = values.stream().sorted().toList();
    int half = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(half)
        : (sorted.get(half - 1) + sorted.get(half)) / 2;
  }
}

package dev.millrace.benchmarks.simulation;

import dev.millrace.benchmarks.simulation.Cell.Figures;
import dev.millrace.benchmarks.simulation.Comparison.Metric;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** The plots of a run. */
final class Plots {
  private static final double[] LOADS = {
    .02, .05, .1, .2, .3, .4, .5, .6, .7, .8, .85, .9, .95, .98
  };
  private static final int[] CLIENTS = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
  private static final long SEED = 77;
  private static final int ROW_LIMIT = 50_000;

  private final Path directory;

  /**
   * @param directory to write to; made if it is not there
   */
  Plots(Path directory) throws IOException {
    this.directory = Files.createDirectories(directory);
  }

  /** Latency by load and throughput by clients, on that curve. */
  void loads(NamedCurve curve, List<Contender> contenders, double seconds) throws IOException {
    double rate = Workload.CAP / curve.curve().millis(Workload.CAP);
    LinePlot mean = new LinePlot(curve + ", Poisson: mean latency", "load", "milliseconds", true);
    LinePlot tail =
        new LinePlot(curve + ", Poisson: 99th percentile", "load", "milliseconds", true);
    LinePlot throughput =
        new LinePlot(curve + ", closed loop: throughput", "clients", "rows per second", false);
    for (Contender contender : contenders) {
      List<Figures> open =
          Arrays.stream(LOADS)
              .mapToObj(load -> run(curve, Arrivals.poisson(load * rate), contender, seconds))
              .toList();
      mean.line(contender.name(), LOADS, open.stream().mapToDouble(Figures::mean).toArray());
      tail.line(contender.name(), LOADS, open.stream().mapToDouble(Figures::p99).toArray());
      throughput.line(
          contender.name(),
          Arrays.stream(CLIENTS).asDoubleStream().toArray(),
          Arrays.stream(CLIENTS)
              .mapToDouble(
                  clients -> run(curve, NamedSets.closedLoop(clients), contender, seconds).rate())
              .toArray());
    }
    write("mean-" + curve, mean);
    write("p99-" + curve, tail);
    write("throughput-" + curve, throughput);
  }

  private static Figures run(
      NamedCurve curve, Traffic traffic, Contender contender, double seconds) {
    Scenario scenario =
        Scenario.of("plot", Workload.of(curve.curve(), traffic), seconds, SEED)
            .withRowLimit(ROW_LIMIT);
    return contender.run(new Cell("plot", "plot", List.of(scenario)));
  }

  /** In how many of the cells each contender's ratio to the oracle is at most so large. */
  void distribution(String name, Comparison comparison, Metric metric) throws IOException {
    LinePlot plot =
        new LinePlot(
            "%s: %s to the oracle".formatted(name, metric), "share of scenarios", "ratio", true);
    for (int i = 0; i < comparison.contenders().size(); i++) {
      double[] ratios = Arrays.stream(comparison.ratios(i, metric)).sorted().toArray();
      double[] shares =
          IntStream.rangeClosed(1, ratios.length)
              .mapToDouble(rank -> (double) rank / ratios.length)
              .toArray();
      plot.line(comparison.contenders().get(i).name(), shares, ratios);
    }
    write("ratio-%s-%s".formatted(metric.toString().replace(' ', '-'), name), plot);
  }

  private void write(String name, LinePlot plot) throws IOException {
    Files.writeString(directory.resolve(name + ".svg"), plot.svg());
  }
}

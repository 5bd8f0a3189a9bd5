package dev.millrace.benchmarks.logging;

import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.SweptModel;
import dev.millrace.benchmarks.known.KnownModel;
import dev.millrace.benchmarks.load.Load;
import dev.millrace.benchmarks.load.LoadClient;
import dev.millrace.benchmarks.load.LoadRequest;
import dev.millrace.benchmarks.load.LoadResult;
import dev.millrace.benchmarks.load.LoadWindow;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Asks two servers in turns, of which one logs, and prints the ratios of what they serve. What it
 * models and how to read it: {@code benchmarks/README.md}.
 */
public final class LoggingRun {
  private LoggingRun() {}

  /** The same load on both servers, one after the other. */
  private record Round(LoadResult off, LoadResult on) {
    double throughput() {
      return on.perSecond() / off.perSecond();
    }

    double p99() {
      return on.micros(99) / Math.max(1, off.micros(99));
    }
  }

  /**
   * Runs.
   *
   * @param args {@code key=value}: {@code off} and {@code on}, the servers' ports; {@code models}
   *     (tiny, millisecond), {@code rounds}, {@code time} of a leg, {@code connections}
   */
  public static void main(String[] args) {
    Map<String, Object> values = new LinkedHashMap<>();
    for (String argument : args) {
      String[] parts = argument.split("=", 2);
      values.put(parts[0], parts.length == 2 ? parts[1] : "");
    }
    Settings settings = Settings.of("arguments", values);
    int off = settings.integer("off", 1, 65535).orElse(9080);
    int on = settings.integer("on", 1, 65535).orElse(9082);
    String models = settings.string("models").orElse("millisecond tiny");
    int rounds = settings.integer("rounds", 1, 1000).orElse(7);
    int connections = settings.integer("connections", 1, 65535).orElse(32);
    LoadWindow window =
        new LoadWindow(
            Duration.ofMillis(500), settings.duration("time").orElse(Duration.ofSeconds(5)));
    settings.rejectUnknown();
    System.out.println(
        "| model | off, 1/s | on, 1/s | throughput, on / off | p99, on / off | failures |");
    System.out.println("|---|--:|--:|--:|--:|--:|");
    try (LoadClient client = new LoadClient()) {
      for (String model : models.strip().split("\\s+", -1)) {
        Load load = Load.ClosedLoop.of(connections);
        List<Round> all = new ArrayList<>();
        for (int i = -1; i < rounds; i++) { // the first to warm up
          Round round =
              new Round(
                  client.run(request(off, model), load, window),
                  client.run(request(on, model), load, window));
          if (i >= 0) {
            all.add(round);
          }
        }
        report(model, all);
      }
    }
  }

  private static LoadRequest request(int port, String model) {
    try (TensorMap row = model.equals("tiny") ? SweptModel.TINY.row() : KnownModel.row(1)) {
      return LoadRequest.of(port, model, row, Duration.ZERO);
    }
  }

  private static void report(String model, List<Round> rounds) {
    long failures = 0;
    for (Round round : rounds) {
      failures += round.off().failures();
      failures += round.on().failures();
    }
    System.out.printf(
        "| %s | %.0f | %.0f | %.3f | %.2f | %d |%n",
        model,
        median(rounds.stream().map(round -> round.off().perSecond()).toList()),
        median(rounds.stream().map(round -> round.on().perSecond()).toList()),
        median(rounds.stream().map(Round::throughput).toList()),
        median(rounds.stream().map(Round::p99).toList()),
        failures);
  }

  private static double median(List<Double> values) {
    List<Double> sorted = values.stream().sorted().toList();
    return sorted.get(sorted.size() / 2);
  }
}

package dev.millrace.benchmarks.logging;

import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.SweptModel;
import dev.millrace.benchmarks.batching.ProcessorTime;
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
import java.util.function.ToDoubleFunction;

/**
 * Asks two servers in turns, of which one logs, and prints the ratios of what they serve. What it
 * models and how to read it: {@code benchmarks/README.md}.
 */
public final class LoggingRun {
  private LoggingRun() {}

  /** What is still on its way to the broker after a load is sent in this time. */
  private static final Duration PAUSE = Duration.ofMillis(500);

  /**
   * A load on one server, with what it took.
   *
   * @param serverMicros processor time of the server for a request
   * @param brokerMicros processor time of the broker for a request
   */
  private record Leg(LoadResult result, double serverMicros, double brokerMicros) {}

  /** The same load on both servers, one after the other. */
  private record Round(Leg off, Leg on) {
    double throughput() {
      return on.result().perSecond() / off.result().perSecond();
    }

    double p99() {
      return on.result().micros(99) / Math.max(1, off.result().micros(99));
    }

    /** Requests that the server serves for the same processor time, on / off. */
    double perProcessorTime() {
      return off.serverMicros() / on.serverMicros();
    }
  }

  /** A server: where it listens, and its process. */
  private record Server(int port, long pid) {}

  /**
   * Runs.
   *
   * @param args {@code key=value}: {@code off} and {@code on}, the servers' ports, {@code off-pid},
   *     {@code on-pid} and {@code broker-pid}; {@code models} (tiny, millisecond), {@code rounds},
   *     {@code warm-up} rounds before them, {@code time} of a leg, {@code connections}
   */
  public static void main(String[] args) throws InterruptedException {
    Map<String, Object> values = new LinkedHashMap<>();
    for (String argument : args) {
      String[] parts = argument.split("=", 2);
      values.put(parts[0], parts.length == 2 ? parts[1] : "");
    }
    Settings settings = Settings.of("arguments", values);
    Server off = server(settings, "off");
    Server on = server(settings, "on");
    long broker = pid(settings, "broker-pid");
    String models = settings.string("models").orElse("millisecond tiny");
    int rounds = settings.integer("rounds", 1, 1000).orElse(7);
    int warmUp = settings.integer("warm-up", 0, 1000).orElse(2);
    int connections = settings.integer("connections", 1, 65535).orElse(32);
    LoadWindow window =
        new LoadWindow(
            Duration.ofMillis(500), settings.duration("time").orElse(Duration.ofSeconds(5)));
    settings.rejectUnknown();
    System.out.println(
        "| model | off, 1/s | on, 1/s | throughput, on / off | p99, on / off"
            + " | server off, us | server on, us | broker, us | by server's CPU, on / off"
            + " | failures |");
    System.out.println("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    try (LoadClient client = new LoadClient()) {
      for (String model : models.strip().split("\\s+", -1)) {
        Load load = Load.ClosedLoop.of(connections);
        List<Round> all = new ArrayList<>();
        for (int i = -warmUp; i < rounds; i++) {
          Round round =
              new Round(
                  run(client, off, broker, model, load, window),
                  run(client, on, broker, model, load, window));
          if (i >= 0) {
            all.add(round);
          }
        }
        report(model, all);
      }
    }
  }

  private static Server server(Settings settings, String name) {
    return new Server(settings.integer(name, 1, 65535).orElseThrow(), pid(settings, name + "-pid"));
  }

  private static long pid(Settings settings, String key) {
    return settings.integer(key, 1, Integer.MAX_VALUE).orElseThrow();
  }

  private static Leg run(
      LoadClient client, Server server, long broker, String model, Load load, LoadWindow window)
      throws InterruptedException {
    long serverBefore = ProcessorTime.nanosOf(server.pid());
    long brokerBefore = ProcessorTime.nanosOf(broker);
    LoadResult result = client.run(request(server.port(), model), load, window);
    Thread.sleep(PAUSE);
    long serverNanos = ProcessorTime.nanosOf(server.pid()) - serverBefore;
    long brokerNanos = ProcessorTime.nanosOf(broker) - brokerBefore;
    // Those before the measured part count too, and came as fast.
    double seconds = window.warmUp().plus(window.measured()).toNanos() / 1e9;
    double requests = Math.max(1, result.perSecond() * seconds);
    return new Leg(result, serverNanos / 1e3 / requests, brokerNanos / 1e3 / requests);
  }

  private static LoadRequest request(int port, String model) {
    try (TensorMap row = model.equals("tiny") ? SweptModel.TINY.row() : KnownModel.row(1)) {
      return LoadRequest.of(port, model, row, Duration.ZERO);
    }
  }

  private static void report(String model, List<Round> rounds) {
    long failures = 0;
    for (Round round : rounds) {
      failures += round.off().result().failures();
      failures += round.on().result().failures();
    }
    System.out.printf(
        "| %s | %.0f | %.0f | %.3f | %.2f | %.1f | %.1f | %.1f | %.3f | %d |%n",
        model,
        median(rounds, round -> round.off().result().perSecond()),
        median(rounds, round -> round.on().result().perSecond()),
        median(rounds, Round::throughput),
        median(rounds, Round::p99),
        median(rounds, round -> round.off().serverMicros()),
        median(rounds, round -> round.on().serverMicros()),
        median(rounds, round -> round.on().brokerMicros()),
        median(rounds, Round::perProcessorTime),
        failures);
  }

  private static double median(List<Round> rounds, ToDoubleFunction<Round> value) {
    double[] sorted = rounds.stream().mapToDouble(value).sorted().toArray();
    return sorted[sorted.length / 2];
  }
}

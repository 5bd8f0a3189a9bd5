package dev.millrace.benchmarks.batching;

import dev.millrace.benchmarks.batching.KnownServer.Model;
import dev.millrace.benchmarks.known.LatencyCurve;
import dev.millrace.benchmarks.load.Arrivals;
import dev.millrace.benchmarks.load.Load;
import dev.millrace.benchmarks.load.LoadClient;
import dev.millrace.benchmarks.load.LoadRequest;
import dev.millrace.benchmarks.load.LoadResult;
import dev.millrace.benchmarks.load.LoadWindow;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * The gates that are about time, on sockets. The engine sleeps, so the CPUs are the server's and
 * the client's, and its times are milliseconds, beside which theirs are small; every figure is a
 * ratio within one round.
 */
public final class SocketGates {
  private static final int MAX_BATCH = 64;
  private static final String DEFAULT = "default";
  private static final String UNBATCHED = "unbatched";
  private static final String NO_BATCHES = ServedSetting.unbatched(1).options();

  /** A large fixed cost: batching wins nearly everything. */
  private static final LatencyCurve FLAT = curve(8_000, 60);

  /** A medium one. */
  private static final LatencyCurve MEDIUM = curve(2_000, 600);

  /** No fixed cost: batching wins nothing. */
  private static final LatencyCurve NO_GAIN = curve(100, 5_000);

  /** Slow enough that twice its capacity does not keep the CPUs busy. */
  private static final LatencyCurve SLOW = curve(8_000, 800);

  private final LoadClient client;

  SocketGates(LoadClient client) {
    this.client = client;
  }

  private static LatencyCurve curve(long fixedMicros, long perRowMicros) {
    return LatencyCurve.affine(
        Duration.ofNanos(fixedMicros * 1000), Duration.ofNanos(perRowMicros * 1000));
  }

  /** All of them. */
  List<Gate> all() {
    List<Gate> gates = new ArrayList<>();
    gates.add(lowLoad(50));
    gates.add(lowLoad(99));
    for (int clients : new int[] {1, 4, 16, 64}) {
      gates.add(closedLoop(FLAT, "8 ms + 0.06 ms a row", clients));
      gates.add(closedLoop(MEDIUM, "2 ms + 0.6 ms a row", clients));
    }
    gates.add(noGainOpen());
    gates.add(noGainClosed());
    for (double load : new double[] {1.2, 2, 4}) {
      gates.add(overload(load, Arrivals.POISSON, 0.9));
    }
    gates.add(overload(2, Arrivals.BURSTS, 0.85));
    gates.add(slowerStep());
    gates.add(moreClientsStep());
    gates.add(shares());
    return List.copyOf(gates);
  }

  /** G1: at 2 % of the capacity, a percentile of the latency beside the unbatched one. */
  Gate lowLoad(double percentile) {
    return new Gate(
        "G1",
        "p%.0f at 2 %% load / unbatched".formatted(percentile),
        1.02,
        false,
        (seconds, round) -> {
          double rate = 0.02 * MEDIUM.rowsPerSecond(MAX_BATCH);
          return openRatio(MEDIUM, rate, percentile, seconds, round);
        });
  }

  /** G2: throughput of so many clients, beside the best of some fixed settings. */
  Gate closedLoop(LatencyCurve curve, String curveName, int clients) {
    return new Gate(
        "G2",
        "throughput of %d clients / best fixed, %s".formatted(clients, curveName),
        0.96,
        true,
        (seconds, round) -> {
          List<ServedSetting> fixed =
              List.of(
                  ServedSetting.fixed(MAX_BATCH, 0, 1),
                  ServedSetting.fixed(clients, 2_000, 1),
                  ServedSetting.fixed(clients, 5_000, 1));
          List<Model> models = new ArrayList<>(List.of(new Model(DEFAULT, curve)));
          fixed.forEach(one -> models.add(new Model(one.name(), curve, one.options())));
          try (KnownServer server = KnownServer.start(models.toArray(Model[]::new))) {
            double best = 0;
            for (ServedSetting setting : fixed) {
              best = Math.max(best, closed(server, setting.name(), clients, seconds).perSecond());
            }
            if (best == 0) {
              throw new IllegalStateException("no fixed setting is served");
            }
            return closed(server, DEFAULT, clients, seconds).perSecond() / best;
          }
        });
  }

  /** G3: the p99 of a model without gain at 60 % load, beside the unbatched one. */
  Gate noGainOpen() {
    return new Gate(
        "G3",
        "no gain, p99 at 60 % load / unbatched",
        1.10,
        false,
        (seconds, round) ->
            openRatio(NO_GAIN, 0.6 * NO_GAIN.rowsPerSecond(MAX_BATCH), 99, seconds, round));
  }

  /** G3: the same of 8 clients that ask again at once. */
  Gate noGainClosed() {
    return new Gate(
        "G3",
        "no gain, p99 of 8 clients / unbatched",
        1.30,
        false,
        (seconds, round) -> {
          try (KnownServer server = beside(NO_GAIN)) {
            return closed(server, DEFAULT, 8, seconds).micros(99)
                / closed(server, UNBATCHED, 8, seconds).micros(99);
          }
        });
  }

  /**
   * G4: answers in time under overload, as a part of the capacity: the most rows a second in
   * batches that take at most half of the deadline, which is ten times what a lone row takes.
   */
  Gate overload(double load, Arrivals arrivals, double aim) {
    return new Gate(
        "G4",
        "goodput at %.1fx / capacity, %s".formatted(load, arrivals.name().toLowerCase(Locale.ROOT)),
        aim,
        true,
        (seconds, round) -> {
          Duration deadline = Duration.ofNanos(10 * SLOW.nanos(1));
          int rows = 1;
          while (rows < MAX_BATCH && SLOW.nanos(rows + 1) <= deadline.toNanos() / 2) {
            rows++;
          }
          double capacity = SLOW.rowsPerSecond(rows);
          try (KnownServer server = KnownServer.start(new Model(DEFAULT, SLOW))) {
            LoadRequest request = server.request(DEFAULT, 1, deadline);
            Load open = new Load.OpenLoop(arrivals, load * capacity, round, 1024);
            LoadResult result = client.run(request, open, LoadWindow.ofSeconds(1, seconds));
            return result.goodput() / capacity;
          }
        });
  }

  /** G5: the engine takes twice as long; throughput after 50 batches, beside that later on. */
  Gate slowerStep() {
    return new Gate(
        "G5",
        "throughput 50 batches after the engine takes twice as long / later",
        0.9,
        true,
        (seconds, round) -> {
          try (KnownServer server = KnownServer.start(new Model(DEFAULT, FLAT))) {
            double settle = 50 * 2 * FLAT.nanos(16) / 1e9;
            CompletableFuture<LoadResult> after =
                client.start(
                    server.request(DEFAULT),
                    Load.ClosedLoop.of(16),
                    LoadWindow.ofSeconds(1 + settle, seconds));
            Executor step = CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS);
            CompletableFuture.runAsync(() -> server.model(DEFAULT).slowDown(2), step).join();
            double soon = after.join().perSecond();
            return soon / closed(server, DEFAULT, 16, seconds).perSecond();
          }
        });
  }

  /** G5: 64 clients come where one was; throughput after 50 batches, beside that later on. */
  Gate moreClientsStep() {
    return new Gate(
        "G5",
        "throughput 50 batches after 64 clients come where one was / later",
        0.9,
        true,
        (seconds, round) -> {
          try (KnownServer server = KnownServer.start(new Model(DEFAULT, FLAT))) {
            closed(server, DEFAULT, 1, 1);
            double settle = 50 * FLAT.nanos(MAX_BATCH) / 1e9;
            double soon =
                client
                    .run(
                        server.request(DEFAULT),
                        Load.ClosedLoop.of(MAX_BATCH),
                        LoadWindow.ofSeconds(settle, seconds))
                    .perSecond();
            return soon / closed(server, DEFAULT, MAX_BATCH, seconds).perSecond();
          }
        });
  }

  /** G6: two models on one device, one ten times slower: how far the shares of its time differ. */
  Gate shares() {
    return new Gate(
        "G6",
        "difference of device-time shares, one model ten times slower",
        0.10,
        false,
        (seconds, round) -> {
          try (KnownServer server =
              KnownServer.start(
                  new Model("slow", curve(20_000, 1_000)), new Model("fast", curve(2_000, 100)))) {
            // More than two batches of each, so that both have requests all the time.
            Load load = Load.ClosedLoop.of(160);
            LoadWindow window = LoadWindow.ofSeconds(0.5, 2 * seconds);
            long slowBefore = server.model("slow").deviceNanos();
            long fastBefore = server.model("fast").deviceNanos();
            CompletableFuture<LoadResult> slow = client.start(server.request("slow"), load, window);
            client.start(server.request("fast"), load, window).join();
            slow.join();
            double slowNanos = server.model("slow").deviceNanos() - slowBefore;
            double fastNanos = server.model("fast").deviceNanos() - fastBefore;
            return Math.abs(slowNanos - fastNanos) / (slowNanos + fastNanos);
          }
        });
  }

  /** A percentile by default over the unbatched one, for the same arrivals. */
  private double openRatio(
      LatencyCurve curve, double rate, double percentile, double seconds, int round)
      throws IOException {
    try (KnownServer server = beside(curve)) {
      Load load = new Load.OpenLoop(Arrivals.POISSON, rate, round, 128);
      LoadWindow window = LoadWindow.ofSeconds(0.3, 2 * seconds);
      return client.run(server.request(DEFAULT), load, window).micros(percentile)
          / client.run(server.request(UNBATCHED), load, window).micros(percentile);
    }
  }

  private static KnownServer beside(LatencyCurve curve) throws IOException {
    return KnownServer.start(new Model(DEFAULT, curve), new Model(UNBATCHED, curve, NO_BATCHES));
  }

  private LoadResult closed(KnownServer server, String model, int clients, double seconds) {
    return client.run(
        server.request(model), Load.ClosedLoop.of(clients), LoadWindow.ofSeconds(0.5, seconds));
  }

  /** Measures all gates and prints them as a table. */
  public static void main(String[] args) throws IOException {
    int rounds = Integer.parseInt(System.getenv().getOrDefault("GATE_ROUNDS", "3"));
    double seconds = Double.parseDouble(System.getenv().getOrDefault("SECONDS_OF_GATE", "1.5"));
    System.out.println("| gate | figure | median of " + rounds + " | aim | reached |");
    System.out.println("|---|---|--:|--:|---|");
    try (LoadClient client = new LoadClient()) {
      SocketGates gates = new SocketGates(client);
      // Server and client are one process, which is slow until its code is compiled.
      var _ = gates.lowLoad(50).measure(2 * seconds, 0);
      for (Gate gate : gates.all()) {
        String line = gate.line(gate.median(rounds, seconds));
        System.out.println(line);
        System.err.println("  " + line);
      }
    }
  }
}

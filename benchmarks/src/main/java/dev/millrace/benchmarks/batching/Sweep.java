package dev.millrace.benchmarks.batching;

import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.SweptModel;
import dev.millrace.benchmarks.load.Arrivals;
import dev.millrace.benchmarks.load.Load;
import dev.millrace.benchmarks.load.LoadClient;
import dev.millrace.benchmarks.load.LoadRequest;
import dev.millrace.benchmarks.load.LoadResult;
import dev.millrace.benchmarks.load.LoadWindow;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * Measures one model in all its settings, which one server serves under different names. The
 * settings take turns, so that what else the machine does hits all of them.
 */
final class Sweep {
  private static final double LIGHT = 0.05;
  private static final double OVERLOAD = 2;
  private static final double SCREENING_SECONDS = 1;
  private static final double SETTLING_SECONDS = 0.3;
  private static final int ENOUGH_REQUESTS = 200;
  private static final Duration SHORTEST_DEADLINE = Duration.ofMillis(10);

  private final SweptModel model;
  private final SweepPlan plan;
  private final LoadClient client;
  private final int port;
  private final long serverPid;
  private final Consumer<Leg> log;

  Sweep(
      SweptModel model,
      SweepPlan plan,
      LoadClient client,
      int port,
      long serverPid,
      Consumer<Leg> log) {
    this.model = model;
    this.plan = plan;
    this.client = client;
    this.port = port;
    this.serverPid = serverPid;
    this.log = log;
  }

  /**
   * Measures.
   *
   * @param settings those that the server serves, the default among them
   */
  void run(List<ServedSetting> settings) {
    Load closed = Load.ClosedLoop.of(plan.connections());
    for (ServedSetting setting : settings) {
      client.run(
          request(setting, Duration.ZERO),
          closed,
          LoadWindow.ofSeconds(0, Math.max(0.1, plan.warmUpSeconds())));
    }
    List<Leg> screening = new ArrayList<>();
    for (ServedSetting setting : settings) {
      screening.add(
          closed(setting, Leg.Kind.SCREENING, 0, Math.min(plan.seconds(), SCREENING_SECONDS)));
    }
    List<ServedSetting> finalists = finalists(settings, screening);
    List<Leg> saturation = new ArrayList<>();
    for (int round = 1; round <= plan.rounds(); round++) {
      for (ServedSetting setting : inTurn(finalists, round)) {
        saturation.add(closed(setting, Leg.Kind.SATURATION, round, plan.seconds()));
      }
    }
    double capacity = BatchingReport.perSecond(saturation, BatchingReport.best(saturation));

    List<ServedSetting> lone = new ArrayList<>(List.of(ServedSetting.DEFAULT));
    settings.stream().filter(ServedSetting::isUnbatched).forEach(lone::add);
    double expected = LIGHT * capacity * plan.loneSeconds();
    double seconds = plan.loneSeconds() * Math.clamp(ENOUGH_REQUESTS / expected, 1, 3);
    List<Leg> light = new ArrayList<>();
    for (int round = 1; round <= plan.rounds(); round++) {
      for (ServedSetting setting : inTurn(lone, round)) {
        light.add(open(setting, Leg.Kind.LONE, round, LIGHT * capacity, Duration.ZERO, seconds));
      }
    }
    Duration deadline = deadline(light);
    // Refusals run code of their own: as long a warm-up as that of the closed loop in all settings.
    client.run(
        request(ServedSetting.DEFAULT, deadline),
        openLoop(OVERLOAD * capacity, deadline, 0),
        LoadWindow.ofSeconds(0, Math.max(0.1, settings.size() * plan.warmUpSeconds())));
    for (int round = 1; round <= plan.rounds(); round++) {
      for (ServedSetting setting :
          inTurn(finalists.subList(0, Math.min(2, finalists.size())), round)) {
        open(setting, Leg.Kind.OVERLOAD, round, OVERLOAD * capacity, deadline, plan.seconds());
      }
    }
  }

  /** The default, then the fixed settings that did most in the screening, the best first. */
  private List<ServedSetting> finalists(List<ServedSetting> settings, List<Leg> screening) {
    Comparator<ServedSetting> byRate =
        Comparator.comparingDouble(setting -> BatchingReport.perSecond(screening, setting.name()));
    return Stream.concat(
            Stream.of(ServedSetting.DEFAULT),
            settings.stream()
                .filter(setting -> !setting.equals(ServedSetting.DEFAULT))
                .sorted(byRate.reversed())
                .limit(plan.finalists()))
        .toList();
  }

  /** Another one is first in each round. */
  private static List<ServedSetting> inTurn(List<ServedSetting> settings, int round) {
    List<ServedSetting> turned = new ArrayList<>(settings);
    Collections.rotate(turned, round);
    return turned;
  }

  private Duration deadline(List<Leg> light) {
    double micros =
        light.stream()
            .filter(leg -> !leg.setting().equals(ServedSetting.DEFAULT.name()))
            .mapToDouble(leg -> leg.micros(50))
            .min()
            .orElseThrow(() -> new IllegalStateException("no unbatched setting is served"));
    Duration deadline = Duration.ofNanos((long) (micros * 1e3 * plan.deadlineFactor()));
    return deadline.compareTo(SHORTEST_DEADLINE) < 0 ? SHORTEST_DEADLINE : deadline;
  }

  private Leg closed(ServedSetting setting, Leg.Kind kind, int round, double seconds) {
    return measure(
        setting, kind, round, 0, Duration.ZERO, Load.ClosedLoop.of(plan.connections()), seconds);
  }

  private Leg open(
      ServedSetting setting,
      Leg.Kind kind,
      int round,
      double perSecond,
      Duration deadline,
      double seconds) {
    Load load = openLoop(perSecond, deadline, round);
    return measure(setting, kind, round, perSecond, deadline, load, seconds);
  }

  private static Load openLoop(double perSecond, Duration deadline, int seed) {
    // Twice what is in flight if every request is answered at its deadline.
    double inFlight = perSecond * Math.max(0.1, deadline.toNanos() / 1e9);
    int connections = (int) Math.clamp(2 * inFlight, 64, 1024);
    return new Load.OpenLoop(Arrivals.POISSON, perSecond, seed, connections);
  }

  private Leg measure(
      ServedSetting setting,
      Leg.Kind kind,
      int round,
      double offered,
      Duration deadline,
      Load load,
      double seconds) {
    ProcessorTime before = ProcessorTime.now(serverPid);
    LoadResult result =
        client.run(
            request(setting, deadline), load, LoadWindow.ofSeconds(SETTLING_SECONDS, seconds));
    ProcessorTime spent = ProcessorTime.now(serverPid).since(before);
    if (!result.failure().isEmpty()) {
      throw new IllegalStateException(
          "%s in setting %s: %s".formatted(model.shortName(), setting.name(), result.failure()));
    }
    Leg leg =
        Leg.of(
            model.shortName(),
            setting.name(),
            kind,
            round,
            offered,
            deadline.toNanos() / 1000,
            result,
            spent);
    log.accept(leg);
    return leg;
  }

  private LoadRequest request(ServedSetting setting, Duration deadline) {
    try (TensorMap row = model.row()) {
      return LoadRequest.of(port, BatchingFiles.servedName(model, setting), row, deadline);
    }
  }
}

package dev.millrace.benchmarks.simulation;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/**
 * Models that take turns on one device, one of them ten times as slow as the others: who gets how
 * much of its time, and what a model with little to do has to wait.
 */
final class SharedDevice {
  private static final double SECONDS = 20;
  private static final long SEED = 66;

  /** More clients than fit into a few batches: such a model always has something waiting. */
  private static final int CROWD = 256;

  private static final ServiceCurve FAST = ServiceCurve.affine(1, 0.1);
  private static final ServiceCurve SLOW = ServiceCurve.affine(10, 1);

  private SharedDevice() {}

  /** A crowd for a fast model, a crowd for a slow one. */
  static List<Workload> twoCrowds() {
    return List.of(
        Workload.of(FAST, NamedSets.closedLoop(CROWD)),
        Workload.of(SLOW, NamedSets.closedLoop(CROWD)));
  }

  /** The same, and a third model that gets a request every 50 ms. */
  static List<Workload> twoCrowdsAndOneLight() {
    List<Workload> workloads = new ArrayList<>(twoCrowds());
    workloads.add(Workload.of(FAST, Arrivals.poisson(0.02)));
    return workloads;
  }

  /** Runs models that have the same policy and one slot between them. */
  static List<Tally> run(List<Workload> workloads, PolicyFactory policy, DeviceArbiter arbiter) {
    Scenario scenario =
        Scenario.of("shared", workloads.getFirst(), SECONDS, SEED).withWorkloads(workloads, 1);
    return Simulation.run(
        scenario, workloads.stream().map(_ -> policy).toList(), arbiter, Observer.NONE);
  }

  /** Each model's part of the time that the device was busy. */
  static double[] shares(List<Tally> tallies) {
    double total = tallies.stream().mapToDouble(Tally::busySeconds).sum();
    return tallies.stream().mapToDouble(tally -> tally.busySeconds() / total).toArray();
  }

  /** Runs every contender under every arbiter. */
  static String report(List<Contender> contenders) {
    MarkdownTable table = ComparisonReport.table("models: share of the device, p99 ms", contenders);
    row(table, contenders, "fast and slow, in turn", twoCrowds(), DeviceArbiter::roundRobin);
    row(table, contenders, "fast and slow, 1:1", twoCrowds(), () -> new FairQueueing(1, 1));
    row(table, contenders, "fast and slow, 3:1", twoCrowds(), () -> new FairQueueing(3, 1));
    row(
        table,
        contenders,
        "fast, slow and light, in turn",
        twoCrowdsAndOneLight(),
        DeviceArbiter::roundRobin);
    row(
        table,
        contenders,
        "fast, slow and light, 1:1:1",
        twoCrowdsAndOneLight(),
        () -> new FairQueueing(1, 1, 1));
    return table.toString();
  }

  private static void row(
      MarkdownTable table,
      List<Contender> contenders,
      String name,
      List<Workload> workloads,
      Supplier<DeviceArbiter> arbiter) {
    List<String> fields = new ArrayList<>(List.of(name));
    for (Contender contender : contenders) {
      List<Tally> tallies = run(workloads, contender, arbiter.get());
      double[] shares = shares(tallies);
      List<String> models = new ArrayList<>();
      for (int i = 0; i < shares.length; i++) {
        models.add(
            "%s, %s"
                .formatted(
                    MarkdownTable.number(shares[i], 2),
                    MarkdownTable.number(tallies.get(i).p99Millis(), 1)));
      }
      fields.add(String.join("; ", models));
    }
    table.row(fields);
  }
}

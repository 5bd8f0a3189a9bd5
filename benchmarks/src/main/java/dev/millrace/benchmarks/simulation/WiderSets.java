package dev.millrace.benchmarks.simulation;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntToDoubleFunction;

/** What the study left out: requests of several rows, several shapes, drift, several runners. */
final class WiderSets {
  private static final long SEED = 44;
  private static final int ROW_LIMIT = 50_000;
  private static final double[] LOADS = {.1, .5, .85};
  private static final NamedCurve[] CURVES = {
    NamedCurve.GPU_FLAT, NamedCurve.GPU_MID, NamedCurve.KNEE, NamedCurve.CPU_HALF
  };

  /** Lengths of sequences, in tokens. */
  static final long[] LENGTHS = {16, 32, 64, 128, 256};

  private static final int[] SHORT_MORE_OFTEN = {0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4};

  private static final long[] FOUR_SHAPES = {1, 1, 1, 1};

  private final double seconds;

  /**
   * @param seconds simulated in each run
   */
  WiderSets(double seconds) {
    this.seconds = seconds;
  }

  /** Requests of 1 to 16 rows. */
  List<Cell> rows() {
    List<Cell> cells = new ArrayList<>();
    for (NamedCurve curve : CURVES) {
      for (double load : LOADS) {
        Traffic traffic = Arrivals.poisson(load * rate(curve.curve()) / 8.5);
        cells.add(
            cell(
                curve.toString(),
                "load " + load,
                Workload.of(
                    curve.curve(),
                    Labelled.of(
                        traffic, (request, random) -> request.rows = random.nextInt(1, 17)))));
      }
    }
    return cells;
  }

  /** Four kinds of requests that cannot share a batch, half of them of the first. */
  List<Cell> shapes() {
    List<Cell> cells = new ArrayList<>();
    for (NamedCurve curve : CURVES) {
      for (double load : LOADS) {
        // A quarter of what full batches of one shape would give: batches of four shapes are small.
        Traffic traffic = Arrivals.poisson(load * rate(curve.curve()) / 4);
        cells.add(
            cell(
                curve.toString(),
                "load " + load,
                Workload.of(
                    curve.curve(),
                    Labelled.shapes(
                        traffic,
                        FOUR_SHAPES,
                        (request, random) -> request.shape = Math.max(0, random.nextInt(6) - 2)))));
      }
    }
    return cells;
  }

  /**
   * A model that pays for tokens, and sequences of five lengths, short ones more often.
   *
   * @param padded whether sequences may be padded to the length of longer ones
   */
  List<Cell> lengths(boolean padded) {
    List<Cell> cells = new ArrayList<>();
    double[] perToken = {0.0002, 0.002, 0.02};
    for (double each : perToken) {
      ServiceCurve curve = ServiceCurve.byElements(2, each);
      for (double load : LOADS) {
        double rate = load * Workload.CAP / curve.millis(Workload.CAP, 64, 0) / 2;
        Workload workload =
            Workload.of(
                curve,
                Labelled.shapes(
                    Arrivals.poisson(rate),
                    LENGTHS,
                    (request, random) -> request.shape = SHORT_MORE_OFTEN[random.nextInt(15)]));
        cells.add(
            cell(
                "2 ms + %s ms a token".formatted(each),
                "load " + load,
                padded ? workload.withPadding() : workload));
      }
    }
    return cells;
  }

  /** Runs get three times as slow, or fast, bit by bit over the whole time. */
  List<Cell> drift() {
    List<Cell> cells = new ArrayList<>();
    for (NamedCurve curve : CURVES) {
      for (double factor : new double[] {3, 1 / 3.0}) {
        ServiceCurve drifting = curve.curve().drift(0, (long) (seconds * 1e9), factor);
        double rate = 0.6 * rate(curve.curve()) / Math.max(1, factor);
        cells.add(
            cell(
                curve.toString(),
                factor > 1 ? "slower" : "faster",
                Workload.of(drifting, Arrivals.poisson(rate))));
      }
    }
    return cells;
  }

  /** A recording on each of the named curves. */
  static List<Cell> recorded(Path file) {
    RecordedTraffic traffic = RecordedTraffic.read(file);
    List<Cell> cells = new ArrayList<>();
    for (NamedCurve curve : NamedCurve.values()) {
      cells.add(
          new Cell(
              curve.toString(),
              file.getFileName().toString(),
              List.of(
                  Scenario.of(
                          "recorded",
                          Workload.of(curve.curve(), traffic),
                          traffic.seconds() + 1,
                          SEED)
                      .withRowLimit(ROW_LIMIT))));
    }
    return cells;
  }

  /**
   * Four runners on devices that slow down fully, partly or not at all when several batches run: 54
   * cells.
   */
  List<Cell> concurrency() {
    List<Cell> cells = new ArrayList<>();
    for (NamedCurve curve :
        List.of(NamedCurve.GPU_FLAT, NamedCurve.GPU_MID, NamedCurve.CPU_LINEAR)) {
      for (Overlap overlap : Overlap.values()) {
        double rate = overlap.gain() * rate(curve.curve());
        for (double load : LOADS) {
          cells.add(concurrent(curve, overlap, "load " + load, Arrivals.poisson(load * rate)));
        }
        for (int clients : new int[] {2, 16, 64}) {
          cells.add(concurrent(curve, overlap, "N=" + clients, NamedSets.closedLoop(clients)));
        }
      }
    }
    return cells;
  }

  private Cell concurrent(NamedCurve curve, Overlap overlap, String name, Traffic traffic) {
    Scenario scenario =
        Scenario.of(name, Workload.of(curve.curve(), traffic).withRunners(4), seconds, SEED)
            .withRowLimit(ROW_LIMIT)
            .withUncounted(0.3)
            .withSlowdown(overlap.slowdown());
    return new Cell(curve + " " + overlap, name, List.of(scenario));
  }

  /** What batches that run at once do to each other. */
  enum Overlap {
    /** They take turns. */
    SERIAL,
    /** They overlap in part. */
    PARTIAL,
    /** They do not notice each other. */
    FULL;

    IntToDoubleFunction slowdown() {
      return switch (this) {
        case SERIAL -> running -> running;
        case PARTIAL -> running -> 1 + 0.6 * (running - 1);
        case FULL -> running -> 1;
      };
    }

    /** How much more four at once get done than one. */
    double gain() {
      return 4 / slowdown().applyAsDouble(4);
    }
  }

  private static double rate(ServiceCurve curve) {
    return Workload.CAP / curve.millis(Workload.CAP);
  }

  private Cell cell(String group, String name, Workload workload) {
    return new Cell(
        group, name, List.of(Scenario.of(name, workload, seconds, SEED).withRowLimit(ROW_LIMIT)));
  }
}

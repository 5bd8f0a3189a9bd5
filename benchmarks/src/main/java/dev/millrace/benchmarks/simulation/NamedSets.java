package dev.millrace.benchmarks.simulation;

import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleFunction;

/**
 * The sets of named curves and named arrival processes, that of the study which the policy comes
 * from. Rates of the open ones are shares of what batches of 64 give.
 */
final class NamedSets {
  private static final long[] SEEDS = {11, 22, 33};
  private static final double[] LOADS = {.02, .1, .3, .6, .9};
  private static final double[] MODULATED_LOADS = {.02, .1, .3};
  private static final int[] CLIENTS = {1, 2, 4, 8, 16, 32, 64};
  static final double[] GOODPUT_LOADS = {.5, .8, 1, 1.2, 1.5, 2, 4};
  private static final int[] DEADLINES = {3, 10};

  /** Such a queue does not come back: what waits is seconds of work. */
  private static final int ROW_LIMIT = 50_000;

  private final double seconds;
  private final int seeds;

  /**
   * @param seconds simulated in each run; 30 in the study
   * @param seeds runs of each cell, at most 3
   */
  NamedSets(double seconds, int seeds) {
    this.seconds = seconds;
    this.seeds = seeds;
  }

  /** Clients that ask again 0.2 ms and a bit after their answer: 49 cells. */
  List<Cell> closedLoops() {
    List<Cell> cells = new ArrayList<>();
    for (NamedCurve curve : NamedCurve.values()) {
      for (int clients : CLIENTS) {
        cells.add(cell(curve, "N=" + clients, Workload.of(curve.curve(), closedLoop(clients))));
      }
    }
    return cells;
  }

  static Traffic closedLoop(int clients) {
    return Arrivals.closedLoop(clients, 5, 0.2, 0.05);
  }

  /** Independent requests: 35 cells. */
  List<Cell> poisson() {
    return open(LOADS, Arrivals::poisson);
  }

  /** Eight requests at a time: 35 cells. */
  List<Cell> bursts() {
    return open(LOADS, NamedSets::burstsOfEight);
  }

  static Traffic burstsOfEight(double perMilli) {
    return Arrivals.bursts(perMilli, 8, 0.02);
  }

  /** Ten times the rate for a tenth of the time: 21 cells. */
  List<Cell> modulated() {
    return open(MODULATED_LOADS, rate -> Arrivals.modulated(rate, 10, 50, 450));
  }

  /** Silence, then a crowd: 21 cells. Not one of the study. */
  List<Cell> onOff() {
    return open(MODULATED_LOADS, rate -> Arrivals.onOff(rate, 100, 200));
  }

  private List<Cell> open(double[] loads, DoubleFunction<Traffic> traffic) {
    List<Cell> cells = new ArrayList<>();
    for (NamedCurve curve : NamedCurve.values()) {
      for (double load : loads) {
        double rate = load * Workload.CAP / curve.curve().millis(Workload.CAP);
        cells.add(cell(curve, "load " + load, Workload.of(curve.curve(), traffic.apply(rate))));
      }
    }
    return cells;
  }

  private Cell cell(NamedCurve curve, String name, Workload workload) {
    return cell(curve.toString(), name, workload, ROW_LIMIT);
  }

  private Cell cell(String group, String name, Workload workload, int rowLimit) {
    List<Scenario> runs = new ArrayList<>();
    for (int i = 0; i < seeds; i++) {
      runs.add(Scenario.of(name, workload, seconds, SEEDS[i]).withRowLimit(rowLimit));
    }
    return new Cell(group, name, runs);
  }

  /**
   * Deadlines of 3 or 10 times what one row takes, from half the capacity that such a deadline
   * leaves to four times it: 196 cells.
   */
  List<GoodputCell> goodput() {
    List<GoodputCell> cells = new ArrayList<>();
    for (boolean bursts : new boolean[] {false, true}) {
      for (double load : GOODPUT_LOADS) {
        for (NamedCurve curve : NamedCurve.values()) {
          for (int deadline : DEADLINES) {
            cells.add(goodput(curve, deadline, load, bursts));
          }
        }
      }
    }
    return cells;
  }

  private GoodputCell goodput(NamedCurve curve, int deadline, double load, boolean bursts) {
    double millis = deadline * curve.curve().millis(1);
    double capacity = 0;
    for (int rows = 1; rows <= Workload.CAP; rows++) {
      double each = curve.curve().millis(rows);
      if (each <= millis / 2) {
        capacity = Math.max(capacity, rows / each);
      }
    }
    double rate = load * capacity;
    Traffic traffic = bursts ? burstsOfEight(rate) : Arrivals.poisson(rate);
    Workload workload =
        Workload.of(curve.curve(), Labelled.deadline(traffic, (long) (millis * 1e6)));
    Cell cell =
        cell(curve.toString(), "deadline %dx".formatted(deadline), workload, Integer.MAX_VALUE);
    return new GoodputCell(curve, deadline, load, bursts, capacity * 1000, cell);
  }

  /**
   * One cell of the goodput set.
   *
   * @param deadline as a multiple of what one row takes
   * @param load as a share of the capacity
   * @param capacity rows per second in batches that take at most half the deadline
   */
  record GoodputCell(
      NamedCurve curve, int deadline, double load, boolean bursts, double capacity, Cell cell) {}
}

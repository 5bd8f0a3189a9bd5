package dev.millrace.benchmarks.simulation;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Scenarios that nobody chose: curve, load and arrivals from a generator. One master seed draws all
 * of a set, so that a seed never used before makes a set that nothing was tuned to.
 */
final class RandomScenarios {
  private static final double SECONDS = 15;
  private static final int ROW_LIMIT = 50_000;

  private RandomScenarios() {}

  /** Draws that many scenarios of one model, each run once. */
  static List<Cell> draw(long masterSeed, int count) {
    return draw(masterSeed, count, SECONDS);
  }

  /** The same, of another length. */
  static List<Cell> draw(long masterSeed, int count, double seconds) {
    SplittableRandom master = new SplittableRandom(masterSeed);
    List<Cell> cells = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      cells.add(draw(master.split(), i, masterSeed, seconds));
    }
    return cells;
  }

  private static Cell draw(SplittableRandom random, int index, long masterSeed, double seconds) {
    double fixed = 0.2 * Math.pow(40, random.nextDouble());
    double perRow = 0.005 * Math.pow(400, random.nextDouble());
    String shape;
    ServiceCurve curve;
    switch (random.nextInt(4)) {
      case 0 -> {
        shape = "affine %.2f+%.3fb".formatted(fixed, perRow);
        curve = ServiceCurve.affine(fixed, perRow);
      }
      case 1 -> {
        int bend = random.nextInt(1, 25);
        shape = "knee %.2f+%.3f max(b,%d)".formatted(fixed, perRow, bend);
        curve = ServiceCurve.ofRows(rows -> fixed + perRow * Math.max(rows, bend));
      }
      case 2 -> {
        shape = "padded %.2f+%.3fb".formatted(fixed, perRow);
        curve = ServiceCurve.affine(fixed, perRow).paddedToPowersOfTwo();
      }
      default -> {
        double exponent = random.nextDouble(0.6, 1.1);
        shape = "power %.2f+%.3fb^%.2f".formatted(0.3 * fixed, 10 * perRow, exponent);
        curve = ServiceCurve.ofRows(rows -> 0.3 * fixed + 10 * perRow * Math.pow(rows, exponent));
      }
    }
    double capacity = curve.capacity(Workload.CAP);
    double load = random.nextDouble(0.03, 0.88);
    double rate = load * capacity;
    String arrivals;
    Traffic traffic;
    switch (random.nextInt(4)) {
      case 0 -> {
        arrivals = "poisson %.2f".formatted(load);
        traffic = Arrivals.poisson(rate);
      }
      case 1 -> {
        int burst = random.nextInt(2, 33);
        double gap = random.nextDouble(0.005, 0.105);
        arrivals = "bursts of %d %.2f".formatted(burst, load);
        traffic = Arrivals.bursts(rate, burst, gap);
      }
      case 2 -> {
        double ratio = random.nextDouble(2, 12);
        double capped = Math.min(rate, 0.35 * capacity);
        arrivals = "mmpp %.1fx %.2f".formatted(ratio, capped / capacity);
        traffic = Arrivals.modulated(capped, ratio, 60, 300);
      }
      default -> {
        int clients = random.nextInt(1, 81);
        double think = 0.03 * Math.pow(100, random.nextDouble());
        double jitter = random.nextDouble() * think;
        arrivals = "closed N=%d think %.2f+%.2f ms".formatted(clients, think, jitter);
        traffic = Arrivals.closedLoop(clients, 5, think, jitter);
      }
    }
    Scenario scenario =
        Scenario.of(arrivals, Workload.of(curve, traffic), seconds, masterSeed * 1_000_003 + index)
            .withRowLimit(ROW_LIMIT);
    return new Cell(shape, arrivals, List.of(scenario));
  }
}

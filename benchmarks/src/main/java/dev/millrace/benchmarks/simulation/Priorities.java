package dev.millrace.benchmarks.simulation;

import dev.millrace.benchmarks.simulation.Trace.Answer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * One request in five is of the first class, and all have deadlines of ten times what one row
 * takes: what each class gets, at loads below and above the capacity.
 */
final class Priorities {
  private static final double[] LOADS = {.5, .9, 1.5};
  private static final double SECONDS = 20;
  private static final long SEED = 55;

  private Priorities() {}

  /** Runs every contender on every curve and load. */
  static String report(List<Contender> contenders) {
    MarkdownTable table =
        ComparisonReport.table(
            "p99 ms of the answered (share of all in time): first class; second", contenders);
    for (NamedCurve curve : List.of(NamedCurve.GPU_MID, NamedCurve.CPU_HALF)) {
      for (double load : LOADS) {
        List<String> fields = new ArrayList<>(List.of(curve + ", load " + load));
        for (Contender contender : contenders) {
          fields.add(run(curve, load, contender));
        }
        table.row(fields);
      }
    }
    return table.toString();
  }

  private static String run(NamedCurve curve, double load, Contender contender) {
    double millis = 10 * curve.curve().millis(1);
    double capacity = Workload.CAP / curve.curve().millis(Workload.CAP);
    Traffic traffic =
        Labelled.of(
            Labelled.deadline(Arrivals.poisson(load * capacity), (long) (millis * 1e6)),
            (request, random) -> request.priority = random.nextInt(5) == 0 ? 0 : 1);
    Classes classes = new Classes();
    Tally _ =
        Simulation.run(
            Scenario.of("priorities", Workload.of(curve.curve(), traffic), SECONDS, SEED),
            contender,
            classes);
    return classes.of(0) + "; " + classes.of(1);
  }

  /** Answers and losses by class. */
  private static final class Classes implements Observer {
    private final Trace answered = new Trace();
    private final int[] lost = new int[2];

    @Override
    public void answered(
        int workload, int priority, long acceptedNanos, long deadlineNanos, long nowNanos) {
      answered.answered(workload, priority, acceptedNanos, deadlineNanos, nowNanos);
    }

    @Override
    public void shed(int workload, int priority, long acceptedNanos, long nowNanos) {
      lost[priority]++;
    }

    String of(int priority) {
      Predicate<Answer> ofClass = answer -> answer.priority() == priority;
      LatencyHistogram latencies = new LatencyHistogram();
      answered.answers().stream()
          .filter(ofClass)
          .forEach(answer -> latencies.add(answer.nanos() - answer.acceptedNanos()));
      long inTime = answered.answers().stream().filter(ofClass.and(Answer::inTime)).count();
      double all = (double) (latencies.count() + lost[priority]);
      return "%s (%s)"
          .formatted(
              MarkdownTable.number(latencies.quantileNanos(0.99) / 1e6, 1),
              MarkdownTable.number((double) inTime / all, 2));
    }
  }
}

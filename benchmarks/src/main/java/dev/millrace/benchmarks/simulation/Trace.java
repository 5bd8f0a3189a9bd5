package dev.millrace.benchmarks.simulation;

import java.util.ArrayList;
import java.util.List;

/** What happened to the requests of one run, one by one, and when its batches ended. */
final class Trace implements Observer {
  private final List<Answer> answers = new ArrayList<>();
  private final List<Long> batchEnds = new ArrayList<>();

  /** An answered request. */
  record Answer(int workload, int priority, long acceptedNanos, long deadlineNanos, long nanos) {
    double millis() {
      return (double) (nanos - acceptedNanos) / 1e6;
    }

    boolean inTime() {
      return nanos <= deadlineNanos;
    }
  }

  @Override
  public void ran(int workload, int shape, int rows, long startedNanos, long nowNanos) {
    batchEnds.add(nowNanos);
  }

  @Override
  public void answered(
      int workload, int priority, long acceptedNanos, long deadlineNanos, long nowNanos) {
    answers.add(new Answer(workload, priority, acceptedNanos, deadlineNanos, nowNanos));
  }

  List<Answer> answers() {
    return answers;
  }

  /** When the {@code count}-th batch after that time ended. */
  long endOfBatch(int count, long afterNanos) {
    return batchEnds.stream()
        .filter(nanos -> nanos > afterNanos)
        .skip(count - 1)
        .findFirst()
        .orElseThrow();
  }

  /** Mean latency in milliseconds of what was accepted between the two times. */
  double meanMillis(long fromNanos, long toNanos) {
    return answers.stream()
        .filter(answer -> answer.acceptedNanos() >= fromNanos && answer.acceptedNanos() < toNanos)
        .mapToDouble(Answer::millis)
        .average()
        .orElse(Double.POSITIVE_INFINITY);
  }
}

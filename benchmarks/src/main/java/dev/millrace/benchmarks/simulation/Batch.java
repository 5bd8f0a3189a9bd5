package dev.millrace.benchmarks.simulation;

import java.util.Arrays;

/** A batch that runs, and room for the next one in the same runner. */
final class Batch {
  final SimulatedBatcher batcher;
  int shape;
  int rows;
  long startedNanos;

  /** What is left to do, in nanoseconds of the device alone. */
  double remaining;

  private long[] accepted = new long[64];
  private long[] deadlines = new long[64];
  private int[] requestRows = new int[64];
  private int[] priorities = new int[64];
  private int requests;

  Batch(SimulatedBatcher batcher) {
    this.batcher = batcher;
  }

  void clear() {
    requests = 0;
    rows = 0;
  }

  int requests() {
    return requests;
  }

  /** Adds the first request of a lane. */
  void add(Lane lane) {
    if (requests == accepted.length) {
      accepted = Arrays.copyOf(accepted, requests * 2);
      deadlines = Arrays.copyOf(deadlines, requests * 2);
      requestRows = Arrays.copyOf(requestRows, requests * 2);
      priorities = Arrays.copyOf(priorities, requests * 2);
    }
    accepted[requests] = lane.accepted(0);
    deadlines[requests] = lane.deadline(0);
    requestRows[requests] = lane.rows(0);
    priorities[requests] = lane.priority(0);
    rows += lane.rows(0);
    requests++;
  }

  long accepted(int i) {
    return accepted[i];
  }

  long deadline(int i) {
    return deadlines[i];
  }

  int requestRows(int i) {
    return requestRows[i];
  }

  int priority(int i) {
    return priorities[i];
  }
}

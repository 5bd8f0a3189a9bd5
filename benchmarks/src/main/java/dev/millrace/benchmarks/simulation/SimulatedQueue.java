package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.QueueView;

/** The queue of one model: a lane for each shape. */
final class SimulatedQueue implements QueueView {
  private final Lane[] lanes;
  private final int maxBatchSize;
  private int front = -1;
  private int totalRows;
  private int idleRunners;
  private int busyRunners;

  SimulatedQueue(int shapes, int maxBatchSize) {
    this.maxBatchSize = maxBatchSize;
    lanes = new Lane[shapes];
    for (int i = 0; i < shapes; i++) {
      lanes[i] = new Lane();
    }
  }

  boolean isEmpty() {
    return totalRows == 0;
  }

  void add(int shape, long acceptedNanos, long deadlineNanos, int rows, int priority) {
    lanes[shape].add(acceptedNanos, deadlineNanos, rows, priority);
    totalRows += rows;
  }

  void expire(long nowNanos, Lane.Expired expired) {
    for (Lane lane : lanes) {
      if (!lane.isEmpty() && lane.hasDeadlines()) {
        int before = lane.rows();
        lane.expire(nowNanos, expired);
        totalRows -= before - lane.rows();
      }
    }
  }

  /** Finds the front again, for the runner that asks; the queue is not empty. */
  void look(int idle, int busy) {
    idleRunners = idle;
    busyRunners = busy;
    front = next(-1);
  }

  /** The lane that is next in line, other than that one; -1 if there is none. */
  private int next(int except) {
    int best = -1;
    for (int i = 0; i < lanes.length; i++) {
      if (i != except && !lanes[i].isEmpty() && (best < 0 || lanes[i].isBefore(lanes[best]))) {
        best = i;
      }
    }
    return best;
  }

  Lane lane(int shape) {
    return lanes[shape];
  }

  int shapes() {
    return lanes.length;
  }

  /** Takes the first request of a lane away. */
  void removeFirst(int shape) {
    totalRows -= lanes[shape].rows(0);
    lanes[shape].removeFirst();
  }

  @Override
  public int shape() {
    return front;
  }

  @Override
  public int rows() {
    return lanes[front].rows();
  }

  @Override
  public int requests() {
    return lanes[front].size();
  }

  @Override
  public boolean hasDeadlines() {
    return lanes[front].hasDeadlines();
  }

  @Override
  public boolean samePriority() {
    return lanes[front].samePriority();
  }

  @Override
  public int rows(int i) {
    return lanes[front].rows(i);
  }

  @Override
  public long deadlineNanos(int i) {
    return lanes[front].deadline(i);
  }

  @Override
  public long acceptedNanos(int i) {
    return lanes[front].accepted(i);
  }

  @Override
  public int totalRows() {
    return totalRows;
  }

  @Override
  public int maxBatchSize() {
    return maxBatchSize;
  }

  @Override
  public int idleRunners() {
    return idleRunners;
  }

  @Override
  public int busyRunners() {
    return busyRunners;
  }
}

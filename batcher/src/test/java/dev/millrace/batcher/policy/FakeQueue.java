package dev.millrace.batcher.policy;

import java.util.ArrayList;
import java.util.List;

/** A queue of one shape, filled by hand; without deadlines unless one is given. */
final class FakeQueue implements QueueView {
  private record Waiting(int rows, long acceptedNanos, long deadlineNanos) {}

  private final List<Waiting> waiting = new ArrayList<>();
  int shape;
  int maxBatchSize = 64;
  int idleRunners;
  int busyRunners;
  boolean samePriority = true;
  int otherRows;

  /** {@code requests} of one row, accepted at that time, without deadlines. */
  static FakeQueue of(int requests, long acceptedNanos) {
    FakeQueue queue = new FakeQueue();
    for (int i = 0; i < requests; i++) {
      queue.add(1, acceptedNanos, Long.MAX_VALUE);
    }
    return queue;
  }

  FakeQueue add(int rows, long acceptedNanos, long deadlineNanos) {
    waiting.add(new Waiting(rows, acceptedNanos, deadlineNanos));
    return this;
  }

  @Override
  public int shape() {
    return shape;
  }

  @Override
  public int rows() {
    return waiting.stream().mapToInt(Waiting::rows).sum();
  }

  @Override
  public int requests() {
    return waiting.size();
  }

  @Override
  public boolean hasDeadlines() {
    return waiting.stream().anyMatch(request -> request.deadlineNanos != Long.MAX_VALUE);
  }

  @Override
  public boolean samePriority() {
    return samePriority;
  }

  @Override
  public int rows(int i) {
    return waiting.get(i).rows;
  }

  @Override
  public long deadlineNanos(int i) {
    return waiting.get(i).deadlineNanos;
  }

  @Override
  public long acceptedNanos(int i) {
    return waiting.get(i).acceptedNanos;
  }

  @Override
  public int totalRows() {
    return rows() + otherRows;
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

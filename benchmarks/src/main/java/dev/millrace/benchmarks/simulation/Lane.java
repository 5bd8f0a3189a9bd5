package dev.millrace.benchmarks.simulation;

import java.util.Arrays;

/**
 * What waits of one shape, in the order in which it is taken: by class, then by deadline, then as
 * it came. Columns of a table whose live rows are {@code head} to {@code tail}.
 */
final class Lane {
  private long[] accepted = new long[64];
  private long[] deadlines = new long[64];
  private int[] rows = new int[64];
  private int[] priorities = new int[64];
  private int head;
  private int tail;
  private int totalRows;
  private int withDeadline;

  boolean isEmpty() {
    return head == tail;
  }

  int size() {
    return tail - head;
  }

  int rows() {
    return totalRows;
  }

  boolean hasDeadlines() {
    return withDeadline > 0;
  }

  boolean samePriority() {
    return priorities[head] == priorities[tail - 1];
  }

  long accepted(int i) {
    return accepted[head + i];
  }

  long deadline(int i) {
    return deadlines[head + i];
  }

  int rows(int i) {
    return rows[head + i];
  }

  int priority(int i) {
    return priorities[head + i];
  }

  /** Whether this lane's first request goes before the other's. */
  boolean isBefore(Lane other) {
    if (priorities[head] != other.priorities[other.head]) {
      return priorities[head] < other.priorities[other.head];
    }
    if (deadlines[head] != other.deadlines[other.head]) {
      return deadlines[head] < other.deadlines[other.head];
    }
    return accepted[head] < other.accepted[other.head];
  }

  void add(long acceptedNanos, long deadlineNanos, int count, int priority) {
    if (tail == rows.length) {
      makeRoom();
    }
    int place = tail++;
    while (place > head
        && (priorities[place - 1] > priority
            || (priorities[place - 1] == priority && deadlines[place - 1] > deadlineNanos))) {
      move(place - 1, place);
      place--;
    }
    accepted[place] = acceptedNanos;
    deadlines[place] = deadlineNanos;
    rows[place] = count;
    priorities[place] = priority;
    totalRows += count;
    if (deadlineNanos != Long.MAX_VALUE) {
      withDeadline++;
    }
  }

  void removeFirst() {
    totalRows -= rows[head];
    if (deadlines[head] != Long.MAX_VALUE) {
      withDeadline--;
    }
    head++;
    if (head == tail) {
      head = 0;
      tail = 0;
    }
  }

  /** Removes what is due before or at that time; returns how many before they are gone. */
  int expire(long nowNanos, Expired expired) {
    if (withDeadline == 0) {
      return 0;
    }
    if (samePriority()) {
      int count = 0;
      while (!isEmpty() && deadlines[head] <= nowNanos) {
        expired.expired(accepted[head], priorities[head], rows[head]);
        removeFirst();
        count++;
      }
      return count;
    }
    int kept = head;
    for (int i = head; i < tail; i++) {
      if (deadlines[i] <= nowNanos) {
        expired.expired(accepted[i], priorities[i], rows[i]);
        totalRows -= rows[i];
        withDeadline--;
      } else {
        move(i, kept++);
      }
    }
    int count = tail - kept;
    tail = kept;
    return count;
  }

  /** Is told of each request that is removed because it is late. */
  @FunctionalInterface
  interface Expired {
    /** A request that is late. */
    void expired(long acceptedNanos, int priority, int rows);
  }

  private void move(int from, int to) {
    accepted[to] = accepted[from];
    deadlines[to] = deadlines[from];
    rows[to] = rows[from];
    priorities[to] = priorities[from];
  }

  /** Moves the live rows to the start, or doubles the table if it is more than half full. */
  private void makeRoom() {
    int size = tail - head;
    int capacity = size > rows.length / 2 ? rows.length * 2 : rows.length;
    accepted = Arrays.copyOf(Arrays.copyOfRange(accepted, head, tail), capacity);
    deadlines = Arrays.copyOf(Arrays.copyOfRange(deadlines, head, tail), capacity);
    rows = Arrays.copyOf(Arrays.copyOfRange(rows, head, tail), capacity);
    priorities = Arrays.copyOf(Arrays.copyOfRange(priorities, head, tail), capacity);
    head = 0;
    tail = size;
  }
}

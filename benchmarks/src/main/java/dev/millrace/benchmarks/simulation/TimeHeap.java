package dev.millrace.benchmarks.simulation;

import java.util.Arrays;

/** Times, the earliest first: a binary heap without objects. */
final class TimeHeap {
  private long[] times = new long[16];
  private int size;

  boolean isEmpty() {
    return size == 0;
  }

  long first() {
    return times[0];
  }

  void add(long time) {
    if (size == times.length) {
      times = Arrays.copyOf(times, size * 2);
    }
    int index = size++;
    while (index > 0 && time < times[(index - 1) / 2]) {
      times[index] = times[(index - 1) / 2];
      index = (index - 1) / 2;
    }
    times[index] = time;
  }

  long removeFirst() {
    long first = times[0];
    long last = times[--size];
    int index = 0;
    for (int child = 1; child < size; child = 2 * index + 1) {
      if (child + 1 < size && times[child + 1] < times[child]) {
        child++;
      }
      if (times[child] >= last) {
        break;
      }
      times[index] = times[child];
      index = child;
    }
    times[index] = last;
    return first;
  }
}

package dev.millrace.batcher.policy;

/** The latest arrivals of one shape: when, and how many rows so far. Single-threaded. */
final class ArrivalLog {
  private static final int SIZE = 1024;
  private static final int MASK = SIZE - 1;

  private final long[] nanos = new long[SIZE];
  private final long[] before = new long[SIZE];
  private long count;
  private long rows;

  void add(int arrivedRows, long arrivedNanos) {
    int at = (int) (count & MASK);
    // nearly in order: a straggler counts as arriving with the latest
    long latest = count == 0 ? arrivedNanos : nanos[(int) ((count - 1) & MASK)];
    before[at] = rows;
    rows += arrivedRows;
    nanos[at] = arrivedNanos - latest < 0 ? latest : arrivedNanos;
    count++;
  }

  long count() {
    return count;
  }

  /** Whether all arrivals from number {@code from} on are still here. */
  boolean holds(long from) {
    return count - from <= SIZE;
  }

  /** The number of the first arrival from {@code from} on that is later than {@code nanos}. */
  long firstAfter(long from, long timeNanos) {
    long low = Math.max(from, count - SIZE);
    long high = count;
    while (low < high) {
      long middle = (low + high) >>> 1;
      if (nanos[(int) (middle & MASK)] - timeNanos <= 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** Rows of the arrivals before number {@code end}, from {@code from} on, which must be here. */
  int rowsBetween(long from, long end) {
    return end <= from ? 0 : (int) (rowsBefore(end) - rowsBefore(from));
  }

  private long rowsBefore(long number) {
    return number >= count ? rows : before[(int) (number & MASK)];
  }

  /** When arrival number {@code number}, which must be here, came. */
  long nanosOf(long number) {
    return nanos[(int) (number & MASK)];
  }

  /** The first arrival from {@code from} on with which at least {@code target} rows have come. */
  long reaching(long from, long end, int target) {
    long base = rowsBefore(from);
    long low = from;
    long high = end;
    while (low < high) {
      long middle = (low + high) >>> 1;
      if (rowsBefore(middle + 1) - base >= target) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }
}

package dev.millrace.batcher;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The requests of one shape, by rank; those of equal rank in the order in which they came. Guarded
 * by the batcher's lock.
 *
 * <p>A sorted array: most requests go to its end and all leave at its front, so both are cheap, and
 * a policy that looks at every deadline walks through memory in order.
 */
final class Lane {
  final BatchKey key;

  /** The number that the policy knows the shape by. */
  final int shape;

  /** What it has in common with the lanes that it can be padded to; null if with none. */
  final @Nullable BatchKey family;

  final long rowElements;

  /** When it was last used, in uses of the queue. */
  long usedAt;

  private @Nullable Request[] items = new @Nullable Request[8];
  private int head;
  private int tail;
  private int rows;
  private int deadlines;
  private int priority;

  /** Requests of another priority than {@link #priority}. */
  private int otherPriorities;

  Lane(BatchKey key, int shape, @Nullable BatchKey family) {
    this.key = key;
    this.shape = shape;
    this.family = family;
    this.rowElements = key.rowElements();
  }

  boolean isEmpty() {
    return head == tail;
  }

  int size() {
    return tail - head;
  }

  /** Rows that wait. */
  int rows() {
    return rows;
  }

  boolean hasDeadlines() {
    return deadlines > 0;
  }

  boolean samePriority() {
    return otherPriorities == 0;
  }

  Request get(int index) {
    Request request = items[head + index];
    if (request == null) {
      throw new IndexOutOfBoundsException(index);
    }
    return request;
  }

  void add(Request request) {
    if (tail == items.length) {
      makeRoom();
    }
    if (isEmpty()) {
      priority = request.priority;
    }
    int place = tail;
    if (!isEmpty() && request.rank - get(size() - 1).rank < 0) {
      place = placeOf(request.rank);
      System.arraycopy(items, place, items, place + 1, tail - place);
    }
    items[place] = request;
    tail++;
    count(request, 1);
    rows += request.waitingRows();
  }

  /** The first place whose request has a higher rank. */
  private int placeOf(long rank) {
    int low = head;
    int high = tail;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (rank - get(middle - head).rank < 0) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  private void makeRoom() {
    int size = size();
    if (size > items.length / 2) {
      items = Arrays.copyOfRange(items, head, head + 2 * items.length);
    } else {
      System.arraycopy(items, head, items, 0, size);
      Arrays.fill(items, size, tail, null);
    }
    head = 0;
    tail = size;
  }

  /** Takes the first requests out, of which {@code rowsGone} were counted. */
  void removeFirst(int count, int rowsGone) {
    for (int i = 0; i < count; i++) {
      count(get(0), -1);
      items[head++] = null;
    }
    rows -= rowsGone;
    if (isEmpty()) {
      head = 0;
      tail = 0;
      rows = 0;
    }
  }

  /** Unlinks the requests that were dropped, and tells the heap of deadlines. */
  void removeDropped(DeadlineHeap heap) {
    int kept = head;
    int left = 0;
    for (int i = head; i < tail; i++) {
      Request request = get(i - head);
      if (request.isWaiting()) {
        items[kept++] = request;
        left += request.waitingRows();
      } else {
        count(request, -1);
        heap.remove(request);
      }
    }
    Arrays.fill(items, kept, tail, null);
    tail = kept;
    rows = left;
  }

  private void count(Request request, int by) {
    if (!request.deadline.isNone()) {
      deadlines += by;
    }
    if (request.priority != priority) {
      otherPriorities += by;
    }
  }
}

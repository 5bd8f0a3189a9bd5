package dev.millrace.batcher;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Requests by deadline, the earliest first: a binary heap in which each request knows its place, so
 * that removing one is O(log n). Not thread-safe.
 */
final class DeadlineHeap {
  private @Nullable Request[] heap = new @Nullable Request[64];
  private int size;

  int size() {
    return size;
  }

  /** The request with the earliest deadline; null if there is none. */
  @Nullable Request peek() {
    return heap[0];
  }

  void add(Request request) {
    if (size == heap.length) {
      heap = Arrays.copyOf(heap, size * 2);
    }
    siftUp(size++, request);
  }

  /** Removes a request, if it is there. */
  void remove(Request request) {
    int index = request.heapIndex;
    if (index < 0) {
      return;
    }
    request.heapIndex = -1;
    Request last = at(--size);
    heap[size] = null;
    if (last == request) {
      return;
    }
    siftDown(index, last);
    if (heap[index] == last) {
      siftUp(index, last);
    }
  }

  private void siftUp(int start, Request request) {
    int index = start;
    while (index > 0) {
      int parent = (index - 1) / 2;
      if (!isEarlier(request, at(parent))) {
        break;
      }
      place(index, at(parent));
      index = parent;
    }
    place(index, request);
  }

  private void siftDown(int start, Request request) {
    int index = start;
    for (int child = 2 * index + 1; child < size; child = 2 * index + 1) {
      if (child + 1 < size && isEarlier(at(child + 1), at(child))) {
        child++;
      }
      if (!isEarlier(at(child), request)) {
        break;
      }
      place(index, at(child));
      index = child;
    }
    place(index, request);
  }

  private void place(int index, Request request) {
    heap[index] = request;
    request.heapIndex = index;
  }

  private Request at(int index) {
    Request request = heap[index];
    if (request == null) {
      throw new IllegalStateException("nothing at " + index + " of " + size);
    }
    return request;
  }

  private static boolean isEarlier(Request a, Request b) {
    return a.deadline.nanos() - b.deadline.nanos() < 0;
  }
}

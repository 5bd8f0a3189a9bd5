package dev.millrace.batcher;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The requests that wait, in the order in which they came. Not thread-safe: the batcher's lock
 * guards it.
 *
 * <p>Each request is in two doubly linked lists, that of all requests and that of its key's lane.
 * So the next batch is found in the lane of the very first request, whatever the number of lanes,
 * and a request is removed from any place in O(1). A lane goes when its last request does, except
 * for the one that emptied last: most traffic has one key.
 *
 * <p>An oversized request leaves a piece at a time and goes to the end of both lists each time, so
 * it shares the runners with those behind it. A piece fills the room that is left in a batch.
 */
final class RequestQueue implements QueueView {
  private final int maxBatchSize;
  private final Map<BatchKey, Lane> lanes = new HashMap<>();
  private @Nullable Lane emptyLane;
  private @Nullable Request first;
  private @Nullable Request last;
  private int requests;
  private long rows;
  private long bytes;
  private int idleRunners;
  private boolean merging = true;

  /** The requests of one key, in the order in which they came. */
  static final class Lane {
    private final BatchKey key;
    private @Nullable Request first;
    private @Nullable Request last;
    private int requests;
    private long rows;

    private Lane(BatchKey key) {
      this.key = key;
    }
  }

  RequestQueue(int maxBatchSize) {
    this.maxBatchSize = maxBatchSize;
  }

  boolean isEmpty() {
    return first == null;
  }

  int requests() {
    return requests;
  }

  long bytes() {
    return bytes;
  }

  /** Lanes that are kept, at most one of them empty. */
  int lanes() {
    return lanes.size();
  }

  /** From now on every request runs alone. */
  void stopMerging() {
    merging = false;
  }

  void idleRunners(int count) {
    idleRunners = count;
  }

  void add(Request request) {
    Lane lane = lanes.computeIfAbsent(request.key, Lane::new);
    if (lane == emptyLane) {
      emptyLane = null;
    }
    append(request, lane);
    requests++;
    bytes += request.bytes;
    rows += request.waitingRows();
    lane.rows += request.waitingRows();
    lane.requests++;
  }

  /** Takes a request out; false if it does not wait. */
  boolean remove(Request request) {
    Lane lane = request.lane;
    if (lane == null) {
      return false;
    }
    requests--;
    bytes -= request.bytes;
    rows -= request.waitingRows();
    lane.rows -= request.waitingRows();
    lane.requests--;
    unlink(request, lane);
    if (lane.first == null) {
      if (emptyLane != null) {
        lanes.remove(emptyLane.key);
      }
      emptyLane = lane;
    }
    return true;
  }

  /** The request that is first in line, if it is over; null if there is none or it is wanted. */
  @Nullable Request firstIfOver(long nowNanos) {
    return first != null && first.isOver(nowNanos) ? first : null;
  }

  /**
   * Takes the next batch; the queue is not empty and its first request is not over.
   *
   * @param limit rows to take
   * @param parts receives the batch
   * @param dropped receives requests that turned out to be over; they have left the queue
   */
  void take(int limit, long nowNanos, List<Part> parts, List<Request> dropped) {
    int room = Math.max(1, Math.min(limit, maxBatchSize));
    Request request = first;
    while (request != null && room > 0) {
      Request following = request.nextInLane;
      if (request.isOver(nowNanos)) {
        remove(request);
        dropped.add(request);
      } else if (request.alone || !merging) {
        if (parts.isEmpty()) {
          parts.add(takeFrom(request, maxBatchSize, nowNanos));
        }
        return;
      } else if (request.pieces != null || request.rows <= room || parts.isEmpty()) {
        Part part = takeFrom(request, room, nowNanos);
        parts.add(part);
        room -= part.rows;
      } else {
        return;
      }
      request = following;
    }
  }

  /** All of a request, or a piece of at most {@code room} rows of an oversized one. */
  private Part takeFrom(Request request, int room, long nowNanos) {
    if (request.rowsTaken == 0) {
      request.reply.queued(nowNanos - request.acceptedNanos);
    }
    Pieces pieces = request.pieces;
    int from = request.rowsTaken;
    int taken = pieces == null ? request.rows : Math.min(room, request.rows - from);
    Part part = new Part(request, from, taken);
    boolean all = from + taken == request.rows;
    if (all) {
      remove(request);
    } else {
      moveToEnd(request, taken);
    }
    request.rowsTaken += taken;
    if (pieces != null) {
      pieces.taken(all);
    }
    return part;
  }

  private void moveToEnd(Request request, int taken) {
    Lane lane = request.lane;
    if (lane != null) {
      rows -= taken;
      lane.rows -= taken;
      unlink(request, lane);
      append(request, lane);
    }
  }

  private void append(Request request, Lane lane) {
    request.lane = lane;
    request.previous = last;
    if (last == null) {
      first = request;
    } else {
      last.next = request;
    }
    last = request;
    request.previousInLane = lane.last;
    if (lane.last == null) {
      lane.first = request;
    } else {
      lane.last.nextInLane = request;
    }
    lane.last = request;
  }

  private void unlink(Request request, Lane lane) {
    Request before = request.previous;
    Request after = request.next;
    if (before == null) {
      first = after;
    } else {
      before.next = after;
    }
    if (after == null) {
      last = before;
    } else {
      after.previous = before;
    }
    Request beforeInLane = request.previousInLane;
    Request afterInLane = request.nextInLane;
    if (beforeInLane == null) {
      lane.first = afterInLane;
    } else {
      beforeInLane.nextInLane = afterInLane;
    }
    if (afterInLane == null) {
      lane.last = beforeInLane;
    } else {
      afterInLane.previousInLane = beforeInLane;
    }
    request.lane = null;
    request.previous = null;
    request.next = null;
    request.previousInLane = null;
    request.nextInLane = null;
  }

  @Override
  public int frontRows() {
    if (first == null || first.lane == null) {
      return 0;
    }
    return saturated(first.alone || !merging ? first.waitingRows() : first.lane.rows);
  }

  @Override
  public int frontRequests() {
    if (first == null || first.lane == null) {
      return 0;
    }
    return first.alone || !merging ? 1 : first.lane.requests;
  }

  @Override
  public long oldestNanos() {
    return first == null ? 0 : first.acceptedNanos;
  }

  @Override
  public int queuedRows() {
    return saturated(rows);
  }

  @Override
  public int maxBatchSize() {
    return maxBatchSize;
  }

  @Override
  public int idleRunners() {
    return idleRunners;
  }

  private static int saturated(long value) {
    return (int) Math.min(value, Integer.MAX_VALUE);
  }
}

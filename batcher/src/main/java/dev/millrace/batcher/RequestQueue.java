package dev.millrace.batcher;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.QueueView;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The requests that wait, in a lane for each shape. Not thread-safe: the batcher's lock guards it.
 *
 * <p>The next batch comes from the <em>front</em>, the lane whose first request has the lowest rank
 * of all. A request that was dropped stays linked until {@link #removeDropped} or {@link #take}
 * come by.
 *
 * <p>An oversized request leaves a piece at a time and goes behind everything that waits each time,
 * so it shares the runners with those behind it. A piece fills the room that is left in a batch.
 *
 * <p>Empty lanes are kept, {@value #LANES_KEPT} lanes in all, because what a policy has learned of
 * a shape hangs on its number.
 */
final class RequestQueue implements QueueView {
  static final int LANES_KEPT = 64;

  private final BatchPolicy policy;
  private final @Nullable Padding padding;
  private final Map<BatchKey, Lane> lanes = new HashMap<>();
  private final List<Lane> busyLanes = new ArrayList<>();
  private @Nullable Lane front;
  private int maxBatchSize;
  private boolean merging = true;
  private int shapes;
  private long uses;
  private long latestRank;
  private int idleRunners;
  private int busyRunners;

  /**
   * @param policy is told of shapes and arrivals
   */
  RequestQueue(BatcherConfig config, BatchPolicy policy) {
    this.maxBatchSize = config.maxBatchSize();
    this.padding = config.padding();
    this.policy = policy;
  }

  boolean isEmpty() {
    return busyLanes.isEmpty();
  }

  /** Lanes that are kept, the empty ones among them. */
  int lanes() {
    return lanes.size();
  }

  /** Whether requests share batches; each runs alone if not. */
  void merging(boolean allowed) {
    merging = allowed;
  }

  /** From now on batches have at most so many rows. */
  void maxBatchSize(int rows) {
    maxBatchSize = rows;
  }

  /** What the view says of the runners. */
  void runners(int idle, int busy) {
    idleRunners = idle;
    busyRunners = busy;
  }

  void add(Request request) {
    Lane lane = lanes.get(request.key);
    if (lane == null) {
      lane = newLane(request.key);
    }
    lane.usedAt = ++uses;
    if (isEmpty() || latestRank - request.rank < 0) {
      latestRank = request.rank;
    }
    if (lane.isEmpty()) {
      busyLanes.add(lane);
    }
    lane.add(request);
    policy.arrived(lane.shape, request.waitingRows(), request.acceptedNanos);
  }

  /** A lane with a number of its own, or with that of the lane that was empty for longest. */
  private Lane newLane(BatchKey key) {
    Lane replaced = null;
    if (lanes.size() >= LANES_KEPT) {
      for (Lane lane : lanes.values()) {
        if (lane.isEmpty() && (replaced == null || lane.usedAt < replaced.usedAt)) {
          replaced = lane;
        }
      }
    }
    int shape;
    if (replaced == null) {
      shape = shapes++;
    } else {
      shape = replaced.shape;
      lanes.remove(replaced.key);
    }
    Lane lane = new Lane(key, shape, padding == null ? null : key.family(padding));
    lanes.put(key, lane);
    policy.shape(shape, lane.rowElements);
    return lane;
  }

  /** Unlinks what was dropped since the last time, also from the heap of deadlines. */
  void removeDropped(DeadlineHeap heap) {
    for (Lane lane : busyLanes) {
      lane.removeDropped(heap);
    }
    busyLanes.removeIf(Lane::isEmpty);
  }

  /** Looks for the lane that is next in line; false if there is none. */
  boolean selectFront() {
    Lane first = null;
    for (Lane lane : busyLanes) {
      if (first == null || lane.get(0).rank - first.get(0).rank < 0) {
        first = lane;
      }
    }
    front = first;
    return first != null;
  }

  private Lane front() {
    Lane lane = front;
    if (lane == null) {
      throw new IllegalStateException("no front was selected");
    }
    return lane;
  }

  /** The request that is next in line, from the front that was selected. */
  Request first() {
    return front().get(0);
  }

  /** Whether nothing is left of the front that was selected. */
  boolean frontIsEmpty() {
    return front().isEmpty();
  }

  /** Unlinks the first requests of the front and returns them. */
  List<Request> removeFirst(int count) {
    Lane lane = front();
    List<Request> removed = new ArrayList<>(count);
    int rowsGone = 0;
    for (int i = 0; i < Math.min(count, lane.size()); i++) {
      removed.add(lane.get(i));
      rowsGone += lane.get(i).waitingRows();
    }
    remove(lane, removed.size(), rowsGone);
    return removed;
  }

  /**
   * Takes the next batch: from the front, and if that is taken as a whole and requests may be
   * padded to each other's length, what still fits from the lanes nearest in length, as far as the
   * policy finds it worth it.
   *
   * @param limit rows to take from the front
   * @param parts receives the batch; stays empty if nobody wanted what was there
   * @param over receives requests that are over, for the caller to drop; they are unlinked
   * @return the shape that the batch runs in
   */
  int take(int limit, long nowNanos, List<Part> parts, List<Request> over) {
    Lane lane = front();
    boolean alone = isAlone(lane.get(0));
    int taken = takeFrom(lane, Math.max(1, Math.min(limit, maxBatchSize)), nowNanos, parts, over);
    int shape = lane.shape;
    if (lane.family != null && lane.isEmpty() && !alone) {
      long rowElements = lane.rowElements;
      for (Lane other = nearest(lane);
          other != null && taken < maxBatchSize;
          other = nearest(lane)) {
        long padded = Math.max(rowElements, other.rowElements);
        int more = Math.min(other.rows(), maxBatchSize - taken);
        if (other.get(0).waitingRows() > maxBatchSize - taken
            || !policy.worthPadding(shape, taken, other.shape, more, padded)) {
          break;
        }
        taken += takeFrom(other, maxBatchSize - taken, nowNanos, parts, over);
        shape = padded == rowElements ? shape : other.shape;
        rowElements = padded;
        if (!other.isEmpty()) {
          break;
        }
      }
    }
    return shape;
  }

  /** The busy lane of the same family that is nearest in length; null if there is none. */
  private @Nullable Lane nearest(Lane lane) {
    Lane nearest = null;
    for (Lane other : busyLanes) {
      if (other != lane
          && lane.family != null
          && Objects.equals(lane.family, other.family)
          && !isAlone(other.get(0))
          && other.get(0).pieces == null
          && (nearest == null || distance(lane, other) < distance(lane, nearest))) {
        nearest = other;
      }
    }
    return nearest;
  }

  private static long distance(Lane a, Lane b) {
    return Math.abs(a.rowElements - b.rowElements);
  }

  /** Takes from one lane; the rows that were taken. */
  private int takeFrom(Lane lane, int limit, long nowNanos, List<Part> parts, List<Request> over) {
    int before = parts.size();
    int room = limit;
    int seen = 0;
    int rowsGone = 0;
    Request unfinished = null;
    while (seen < lane.size() && room > 0 && unfinished == null) {
      Request request = lane.get(seen);
      int rows = request.waitingRows();
      if (request.isOver(nowNanos)) {
        over.add(request);
      } else if (isAlone(request)) {
        if (!parts.isEmpty()) {
          break;
        }
        add(request.take(Math.max(1, maxBatchSize)), parts);
        room = 0;
      } else if (request.pieces != null || rows <= room || parts.isEmpty()) {
        room -= add(request.take(room), parts);
      } else {
        break;
      }
      unfinished = request.isWaiting() && !request.isOver(nowNanos) ? request : null;
      seen++;
      rowsGone += rows;
    }
    remove(lane, seen, rowsGone);
    if (unfinished != null) {
      addLast(unfinished, lane);
    }
    int taken = 0;
    for (Part part : parts.subList(before, parts.size())) {
      taken += part.rows;
    }
    return taken;
  }

  private static int add(@Nullable Part part, List<Part> parts) {
    if (part == null) {
      return 0;
    }
    parts.add(part);
    return part.rows;
  }

  private void remove(Lane lane, int count, int rowsGone) {
    lane.removeFirst(count, rowsGone);
    if (lane.isEmpty()) {
      busyLanes.remove(lane);
    }
  }

  /** Puts what is left of an oversized request behind everything that waits. */
  private void addLast(Request request, Lane lane) {
    if (lane.isEmpty()) {
      busyLanes.add(lane);
    }
    if (latestRank - request.rank > 0) {
      request.rank = latestRank;
    }
    lane.add(request);
  }

  private boolean isAlone(Request request) {
    return request.alone || !merging;
  }

  @Override
  public int shape() {
    return front().shape;
  }

  @Override
  public int rows() {
    return isAlone(first()) ? first().waitingRows() : front().rows();
  }

  @Override
  public int requests() {
    return isAlone(first()) ? 1 : front().size();
  }

  @Override
  public boolean hasDeadlines() {
    return front().hasDeadlines();
  }

  @Override
  public boolean samePriority() {
    return front().samePriority();
  }

  @Override
  public int rows(int i) {
    return front().get(i).waitingRows();
  }

  @Override
  public long deadlineNanos(int i) {
    return front().get(i).deadline.nanos();
  }

  @Override
  public long acceptedNanos(int i) {
    return front().get(i).acceptedNanos;
  }

  @Override
  public int totalRows() {
    int sum = 0;
    for (Lane lane : busyLanes) {
      sum += lane.rows();
    }
    return sum;
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

package dev.millrace.batcher;

import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * An accepted request.
 *
 * <pre>
 * WAITING --- a runner takes it, or its last piece ---> TAKEN
 *    |
 *    +------- cancelled, expired or sacrificed -------> DROPPED
 * </pre>
 *
 * <p>One compare-and-set decides between the two, and with it who owns the inputs: while it waits,
 * this; then the {@link Part} that took them, or for an oversized request its {@link Pieces}.
 * Whoever drops it frees them. So a request is dropped from any thread at once, wherever it is
 * linked; the queue unlinks it when it comes by.
 *
 * <p>The fields that are neither final nor the state belong to the queue and are guarded by the
 * batcher's lock.
 */
final class Request {
  /**
   * A request that says nothing of when it wants its answer stands in line as if it had to be
   * answered a second after it came; one that would wait longer, too. So those with deadlines do
   * not overtake the others for ever.
   */
  static final long PATIENCE_NANOS = Duration.ofSeconds(1).toNanos();

  /** A request stands in line as if it had come this much later for each step down in priority. */
  static final long PRIORITY_STEP_NANOS = Duration.ofSeconds(1).toNanos();

  private static final int WAITING = 0;
  private static final int TAKEN = 1;
  private static final int DROPPED = 2;
  private static final VarHandle STATE;

  static {
    try {
      STATE = MethodHandles.lookup().findVarHandle(Request.class, "state", int.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  final Dispatcher dispatcher;
  final BatchKey key;
  final TensorMap inputs;
  final List<String> requestedOutputs;

  /** For the model; empty of a request that may share a batch. */
  final Parameters parameters;

  final Deadline deadline;

  /** 0 is served first. */
  final int priority;

  final long acceptedNanos;
  final long bytes;

  /** Rows for the model; 1 if the request is not counted in rows. */
  final int rows;

  /** Whether it must not share a batch. */
  final boolean alone;

  /** Of a request of more rows than the cap; else null. */
  final @Nullable Pieces pieces;

  final Reply reply;

  /** Its place in line: the smaller is taken first, compared by difference. */
  long rank;

  /** Place in the heap of deadlines, -1 when not there. */
  int heapIndex = -1;

  @SuppressWarnings("unused") // through STATE
  private volatile int state = WAITING;

  Request(
      Dispatcher dispatcher,
      BatchKey key,
      TensorMap inputs,
      List<String> requestedOutputs,
      Parameters parameters,
      Deadline deadline,
      int priority,
      long acceptedNanos,
      int rows,
      boolean alone,
      boolean oversized) {
    this.dispatcher = dispatcher;
    this.key = key;
    this.inputs = inputs;
    this.requestedOutputs = requestedOutputs;
    this.parameters = parameters;
    this.deadline = deadline;
    this.priority = priority;
    this.acceptedNanos = acceptedNanos;
    this.bytes = inputs.byteSize();
    this.rows = rows;
    this.alone = alone;
    this.pieces = oversized ? new Pieces(inputs, rows) : null;
    this.reply = new Reply(this);
    this.rank =
        acceptedNanos
            + Math.min(deadline.remaining(acceptedNanos), PATIENCE_NANOS)
            + priority * PRIORITY_STEP_NANOS;
  }

  /** Whether its place in line is that of its deadline, within its priority. */
  boolean standsByDeadline() {
    return !deadline.isNone() && rank == deadline.nanos() + priority * PRIORITY_STEP_NANOS;
  }

  /** What it counts in the queue: its rows that no batch took yet, at least 1. */
  int waitingRows() {
    return pieces == null ? Math.max(1, rows) : pieces.waitingRows();
  }

  boolean isWaiting() {
    return state == WAITING;
  }

  /** Whether nobody wants it run any more. */
  boolean isOver(long nowNanos) {
    return reply.isDone() || deadline.isExpired(nowNanos);
  }

  /**
   * All of it, or a piece of at most {@code room} rows of an oversized one, for the runner that
   * calls this under the batcher's lock; null if it was dropped.
   */
  @Nullable Part take(int room) {
    if (pieces != null) {
      return pieces.take(this, room);
    }
    return claim() ? new Part(this, 0, rows) : null;
  }

  /** Takes it for good; false if it was dropped. */
  boolean claim() {
    return STATE.compareAndSet(this, WAITING, TAKEN);
  }

  /**
   * Takes it out without running it, or what is left of it, and frees the inputs; false if it does
   * not wait. Any thread may.
   */
  boolean drop() {
    if (!STATE.compareAndSet(this, WAITING, DROPPED)) {
      return false;
    }
    if (pieces == null) {
      dispatcher.backlog().release(this, waitingRows());
      inputs.close();
    } else {
      dispatcher.backlog().release(this, pieces.withdraw());
    }
    return true;
  }

  /** Whether a batch took some of it. */
  boolean hasStarted() {
    return pieces == null ? state == TAKEN : pieces.hasStarted();
  }

  /** Answers with outputs, which this takes over. */
  void succeed(TensorMap outputs, long computeNanos) {
    reply.computed(computeNanos);
    if (!reply.complete(outputs)) {
      outputs.close();
    }
  }

  /** Answers with a failure; what is no {@link InferenceException} becomes an INTERNAL one. */
  void fail(Throwable failure) {
    reply.completeExceptionally(answerTo(failure));
  }

  private InferenceException answerTo(Throwable failure) {
    if (failure instanceof InferenceException answer) {
      return answer;
    }
    String what = failure instanceof OutOfMemoryError ? "ran out of memory" : "failed";
    return new InferenceException(
        ErrorCode.INTERNAL,
        "model '%s' %s while running the request".formatted(dispatcher.name(), what),
        failure);
  }
}

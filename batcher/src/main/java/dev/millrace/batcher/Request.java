package dev.millrace.batcher;

import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.TensorMap;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * An accepted request.
 *
 * <p>Who owns the inputs: this, while it is in the queue; then the {@link Part} that took them, or
 * for an oversized request its {@link Pieces}. Whoever takes it out of the queue without running it
 * calls {@link #release}.
 *
 * <p>The links belong to {@link RequestQueue}, the index to {@link DeadlineHeap}: both are guarded
 * by the batcher's lock. All else is constant.
 */
final class Request {
  final Dispatcher dispatcher;
  final BatchKey key;
  final TensorMap inputs;
  final List<String> requestedOutputs;
  final Deadline deadline;
  final long acceptedNanos;
  final long bytes;

  /** Rows for the model; 1 if the request is not counted in rows. */
  final int rows;

  /** Whether it must not share a batch. */
  final boolean alone;

  /** Of a request of more rows than the cap; else null. */
  final @Nullable Pieces pieces;

  final Reply reply;

  /** Where it waits; null when it does not. */
  RequestQueue.@Nullable Lane lane;

  @Nullable Request previous;
  @Nullable Request next;
  @Nullable Request previousInLane;
  @Nullable Request nextInLane;

  /** Rows that pieces have taken. */
  int rowsTaken;

  /** Place in the heap of deadlines, -1 when not there. */
  int heapIndex = -1;

  Request(
      Dispatcher dispatcher,
      BatchKey key,
      TensorMap inputs,
      List<String> requestedOutputs,
      Deadline deadline,
      long acceptedNanos,
      int rows,
      boolean alone,
      boolean oversized) {
    this.dispatcher = dispatcher;
    this.key = key;
    this.inputs = inputs;
    this.requestedOutputs = requestedOutputs;
    this.deadline = deadline;
    this.acceptedNanos = acceptedNanos;
    this.bytes = inputs.byteSize();
    this.rows = rows;
    this.alone = alone;
    this.pieces = oversized ? new Pieces(inputs, rows) : null;
    this.reply = new Reply(this);
  }

  /** What it counts in the queue: its rows that no batch took yet, at least 1. */
  int waitingRows() {
    return Math.max(1, rows - rowsTaken);
  }

  /** Whether nobody wants it run any more. */
  boolean isOver(long nowNanos) {
    return reply.isDone() || deadline.isExpired(nowNanos);
  }

  /** Gives the inputs back after it left the queue and will not be taken. */
  void release() {
    if (pieces == null) {
      inputs.close();
    } else {
      pieces.withdrawn();
    }
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

package dev.millrace.batcher;

import dev.millrace.api.TensorMap;
import java.util.List;

/**
 * What one batch takes of one request: all of it, or a piece of an oversized one. Owns the inputs
 * of a whole request. Ends once: {@link #succeed}, {@link #fail} or {@link #drop}; used by one
 * runner only.
 */
final class Part {
  final Request request;
  final int from;
  final int rows;
  private boolean ended;

  Part(Request request, int from, int rows) {
    this.request = request;
    this.from = from;
    this.rows = rows;
  }

  /** Whether it is all of its request. */
  boolean isWhole() {
    return request.pieces == null;
  }

  /** Whether nothing of its request waits behind it. */
  boolean isLast() {
    return from + rows == request.rows;
  }

  /** Whether it has succeeded, failed or was dropped. */
  boolean isEnded() {
    return ended;
  }

  /** Its rows of the inputs: still owned by this, valid until it ends. */
  TensorMap inputs() {
    return request.pieces == null ? request.inputs : request.pieces.inputs(from, rows);
  }

  /** The outputs, which this takes over. The inputs are freed before anybody is answered. */
  void succeed(TensorMap outputs, long computeNanos) {
    ended = true;
    Pieces pieces = request.pieces;
    if (pieces == null) {
      request.inputs.close();
      request.succeed(outputs, computeNanos);
      return;
    }
    List<TensorMap> all = pieces.succeeded(from, outputs, computeNanos);
    if (all != null) {
      rejoin(all, pieces.computeNanos());
    }
  }

  private void rejoin(List<TensorMap> all, long computeNanos) {
    TensorMap joined;
    try {
      if (request.reply.isDone()) {
        return;
      }
      joined = Rows.concat(all);
    } catch (RuntimeException | Error e) {
      request.fail(e);
      return;
    } finally {
      all.forEach(TensorMap::close);
    }
    request.succeed(joined, computeNanos);
  }

  /** The whole request fails; what still waits of it never runs. */
  void fail(Throwable failure) {
    drop();
    request.fail(failure);
  }

  /** The request was answered by somebody else: only the memory is given back. */
  void drop() {
    ended = true;
    if (request.pieces == null) {
      request.inputs.close();
    } else {
      request.drop();
      request.pieces.failed();
    }
  }
}

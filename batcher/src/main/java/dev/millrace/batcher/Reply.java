package dev.millrace.batcher;

import dev.millrace.api.TensorMap;
import java.util.concurrent.CompletableFuture;

/**
 * The answer to one request: outputs, which the receiver owns, or an {@link
 * dev.millrace.api.InferenceException}.
 *
 * <p>Completes once: success, failure, deadline and {@link #cancel} race by one compare-and-set,
 * and the outputs of a loser are closed. Dependents run on a runner or timer thread, or on the one
 * that cancels; they must not block, for the next batch waits for them.
 */
public final class Reply extends CompletableFuture<TensorMap> {
  private final Request request;

  /** Written by whoever takes the request out of the queue. */
  private long queueNanos;

  /** Written by the runner that is about to complete this. */
  private long computeNanos;

  /** Written by the runner that runs the request. */
  private int batchRows;

  Reply(Request request) {
    this.request = request;
  }

  /** Nanoseconds from being accepted to being taken by a runner or dropped; once completed. */
  public long queueNanos() {
    return queueNanos;
  }

  /**
   * Nanoseconds inside the predictor, the whole batch's; those of all pieces together for an
   * oversized request; 0 if there are no outputs. Valid once completed.
   */
  public long computeNanos() {
    return computeNanos;
  }

  /**
   * Rows of the batch that the request ran in, or of one of those that pieces of it ran in; 0 if it
   * did not run. Valid once completed.
   */
  public int batchRows() {
    return batchRows;
  }

  /**
   * Gives the request up. If it still waits it is dropped and its inputs are freed before this
   * returns; if it runs, the result is dropped when it is there, and a predictor that can end its
   * run does so as soon as all requests of the batch were given up or are late.
   *
   * @param mayInterruptIfRunning has no effect: the others of a batch that runs want their answers
   */
  @Override
  public boolean cancel(boolean mayInterruptIfRunning) {
    boolean waited = !isDone() && request.dispatcher.cancel(request);
    boolean cancelled = super.cancel(mayInterruptIfRunning);
    if (cancelled && !waited) {
      request.dispatcher.abandonUnwanted();
    }
    return cancelled;
  }

  void queued(long nanos) {
    queueNanos = nanos;
  }

  void batched(int rows) {
    batchRows = rows;
  }

  void computed(long nanos) {
    computeNanos = nanos;
  }
}

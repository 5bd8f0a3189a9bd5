package dev.millrace.batcher;

/**
 * What a {@link BatchPolicy} sees of the queue. Valid during one {@link BatchPolicy#decide} only.
 *
 * <p>The <em>front</em> is the requests that may share the next batch: those that agree with the
 * one that waits longest. A request of no rows, or of a model that does not batch, counts as one
 * row.
 */
public interface QueueView {
  /** Rows of the front; at least 1. */
  int frontRows();

  /** Requests of the front; at least 1. */
  int frontRequests();

  /** Ticker reading when the request that waits longest was accepted. */
  long oldestNanos();

  /** Rows of all requests that wait. */
  int queuedRows();

  /** Most rows of one batch; 0 if requests are never merged. */
  int maxBatchSize();

  /** Runners with nothing to do, without the one that asks. */
  int idleRunners();
}

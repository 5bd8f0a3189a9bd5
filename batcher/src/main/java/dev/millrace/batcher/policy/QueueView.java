package dev.millrace.batcher.policy;

/**
 * What a {@link BatchPolicy} sees of the queue. Valid during one {@link BatchPolicy#decide} only.
 *
 * <p>The <em>front</em> is the requests that may share the next batch: those of the same shape as
 * the one that is next in line, in the order in which they are taken: by priority, and within a
 * class of it by deadline, but that none waits for ever, so that both holds only nearly. A request
 * of no rows, or of a model that does not batch, counts as one row.
 */
public interface QueueView {
  /** Shape of the front. */
  int shape();

  /** Rows of the front; at least 1. */
  int rows();

  /** Requests of the front; at least 1. */
  int requests();

  /** Whether any request of the front has a deadline. */
  boolean hasDeadlines();

  /**
   * Whether all requests of the front have the same priority, and their deadlines ascend. False is
   * always allowed, and costs a longer look.
   */
  boolean ordered();

  /** Priority of the {@code i}-th request of the front; 0 is served first. */
  int priority(int i);

  /** Rows of the {@code i}-th request of the front that wait. */
  int rows(int i);

  /** Deadline of the {@code i}-th request of the front; {@link Long#MAX_VALUE} for none. */
  long deadlineNanos(int i);

  /** When the {@code i}-th request of the front was accepted. */
  long acceptedNanos(int i);

  /** Rows of all requests that wait, the front's among them. */
  int totalRows();

  /** Most rows of one batch now; 0 if requests are never merged. */
  int maxBatchSize();

  /** Runners with nothing to do, without the one that asks. */
  int idleRunners();

  /** Runners that run a batch now. */
  int busyRunners();
}

package dev.millrace.batcher;

/**
 * Decides, for a free runner, how many rows it takes and whether it holds back first.
 *
 * <p>A state machine without threads, clocks or I/O: everything it knows comes by argument. It may
 * keep state: the batcher calls it under its lock, so never by two threads at once. It has to be
 * quick, and an instance serves one batcher.
 */
public interface BatchPolicy {
  /**
   * Called for a free runner while something waits: after a batch, on an arrival while idle, and
   * when a hold ends. Not called again for other runners during a hold.
   *
   * @param nowNanos reading of the batcher's ticker
   */
  Decision decide(QueueView queue, long nowNanos);

  /** A batch ran well; {@code computeNanos} is the time inside the predictor. */
  default void batchCompleted(int rows, long computeNanos, long nowNanos) {}

  /** What a free runner does. */
  sealed interface Decision {}

  /**
   * Take whole requests from the front, the oldest first, while they fit into {@code rows}; at
   * least one request. Only a request larger than the cap is taken in pieces.
   *
   * @param rows at least 1; more than the cap is the cap
   */
  record Run(int rows) implements Decision {}

  /**
   * Wait, and decide again at {@code untilNanos} or as soon as {@code targetRows} rows are queued.
   * A hold that ends in the past, or while the batcher closes, runs the front instead.
   */
  record Hold(long untilNanos, int targetRows) implements Decision {}
}

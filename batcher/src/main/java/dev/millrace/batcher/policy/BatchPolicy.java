package dev.millrace.batcher.policy;

import java.util.Optional;

/**
 * Decides, for a free runner, how many rows it takes and whether it holds back first.
 *
 * <p>A state machine without threads, clocks or I/O: everything it knows comes by argument. It may
 * keep state: it is called by one thread at a time, whose writes the next one sees. It has to be
 * quick, and an instance serves one batcher.
 *
 * <p>Requests that may share a batch have the same <em>shape</em>: a small number that stands for
 * names, datatypes and inner dimensions. Times are readings of one ticker, compared by difference.
 */
public interface BatchPolicy {
  /**
   * From now on {@code shape} stands for requests whose rows have that many elements, whatever it
   * stood for before. Called before any other use of the number; numbers count from 0 and are used
   * again, so an array does to keep state by shape.
   */
  default void shape(int shape, long rowElements) {}

  /** A request came; told late, before the next decision, and in the order of arrival or nearly. */
  default void arrived(int shape, int rows, long acceptedNanos) {}

  /**
   * Called for a free runner while something waits. Not called again for other runners during a
   * hold.
   */
  Decision decide(QueueView queue, Trigger trigger, long nowNanos);

  /**
   * Whether requests of one shape, padded to another's, are better run in the same batch than
   * apart. Only asked of shapes that the model allows to be padded to each other.
   *
   * @param rows of {@code shape} that are taken already
   * @param otherRows of {@code otherShape} that might join
   * @param paddedRowElements elements of each row if they run together
   */
  default boolean worthPadding(
      int shape, int rows, int otherShape, int otherRows, long paddedRowElements) {
    return false;
  }

  /** A batch was taken, for a decision or because the batcher had to. */
  default void started(int shape, int rows, long nowNanos) {}

  /**
   * A batch that was {@link #started} has ended.
   *
   * @param startedNanos when it was taken
   * @param busyNanos how long it kept its runner busy: merging, running, splitting, answering; 0 if
   *     it did not run well as a whole, so that nothing is to be learned from it
   */
  default void completed(int shape, int rows, long startedNanos, long busyNanos, long nowNanos) {}

  /** The most batches that may run at once; more runners than that stay idle. */
  default int concurrency() {
    return Integer.MAX_VALUE;
  }

  /** What a request that comes now has to expect, as far as is known. */
  default Forecast forecast() {
    return Forecast.unknown();
  }

  /** What was learned until now; empty for a policy that does not. */
  default Optional<LearnedState> learned() {
    return Optional.empty();
  }

  /** What a free runner does. */
  sealed interface Decision {}

  /**
   * Give up the first {@code shed} requests of the front, then take whole requests from it while
   * they fit into {@code rows}; at least one request, if one is left. Only a request larger than
   * the cap is taken in pieces.
   *
   * @param shed requests that the policy sacrifices, or that cannot be in time
   * @param rows at least 1; more than the cap is the cap
   */
  record Run(int shed, int rows, DispatchReason reason) implements Decision {}

  /**
   * Wait, and decide again at {@code untilNanos} or as soon as {@code targetRows} rows wait in all.
   * A hold that ends in the past, or while the batcher closes, runs the front instead.
   */
  record Hold(long untilNanos, int targetRows) implements Decision {}

  /** Why there is a decision to make. */
  enum Trigger {
    /** The runner has just ended a batch. */
    COMPLETION,
    /** The runner was idle. */
    ARRIVAL,
    /** The runner held back, and the time is over. */
    HOLD_TIMEOUT,
    /** The runner held back, and the target was reached. */
    HOLD_TARGET
  }
}

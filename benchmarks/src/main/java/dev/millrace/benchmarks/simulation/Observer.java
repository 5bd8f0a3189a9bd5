package dev.millrace.benchmarks.simulation;

/** Is told what happens in a run, for what a {@link Tally} does not count. */
interface Observer {
  /** A batch has ended. */
  default void ran(int workload, int shape, int rows, long startedNanos, long nowNanos) {}

  /** A request was answered. */
  default void answered(
      int workload, int priority, long acceptedNanos, long deadlineNanos, long nowNanos) {}

  /** A request was given up, or its deadline passed while it waited. */
  default void shed(int workload, int priority, long acceptedNanos, long nowNanos) {}

  /** Sees nothing. */
  Observer NONE = new Observer() {};
}

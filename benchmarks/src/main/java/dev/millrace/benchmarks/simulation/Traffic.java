package dev.millrace.benchmarks.simulation;

import java.util.SplittableRandom;

/** How requests come. Immutable; each run begins a {@link Source} of its own. */
interface Traffic {
  /** Begins at time 0, with all chance from {@code random}. */
  Source begin(SplittableRandom random);

  /** Elements of a row by shape; one shape of one element unless said otherwise. */
  default long[] rowElements() {
    return new long[] {1};
  }

  /**
   * The requests of one run, one at a time: the next one's fields, until {@link #advance}. A
   * request that never comes has the time {@link Long#MAX_VALUE}.
   */
  abstract class Source {
    /** When it comes; never before the one before it. */
    protected long nanos;

    protected int rows = 1;
    protected int shape;

    /** When its answer is worth nothing; {@link Long#MAX_VALUE} for never. */
    protected long deadlineNanos = Long.MAX_VALUE;

    /** Its class; 0 goes first. */
    protected int priority;

    /** Goes on to the request after this one. */
    protected abstract void advance();

    /** A client has its answer, or was refused. */
    protected void answered(long nowNanos) {}
  }
}

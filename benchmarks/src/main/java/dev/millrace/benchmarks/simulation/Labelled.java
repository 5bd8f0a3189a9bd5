package dev.millrace.benchmarks.simulation;

import java.util.SplittableRandom;

/** Gives the requests of some traffic what it leaves open: deadlines, classes, shapes, rows. */
final class Labelled implements Traffic {
  private final Traffic times;
  private final long[] rowElements;
  private final Labels labels;

  /** Sets the fields of a request whose time is set. */
  @FunctionalInterface
  interface Labels {
    /** Called once for each request, in order. */
    void label(Source request, SplittableRandom random);
  }

  private Labelled(Traffic times, long[] rowElements, Labels labels) {
    this.times = times;
    this.rowElements = rowElements;
    this.labels = labels;
  }

  /** The same traffic, each request with what {@code labels} sets. */
  static Traffic of(Traffic times, Labels labels) {
    return new Labelled(times, times.rowElements(), labels);
  }

  /** Requests with shapes: rows of that many elements each. */
  static Traffic shapes(Traffic times, long[] rowElements, Labels labels) {
    return new Labelled(times, rowElements.clone(), labels);
  }

  /** Every request has to be answered that long after it came. */
  static Traffic deadline(Traffic times, long nanos) {
    return of(times, (request, random) -> request.deadlineNanos = request.nanos + nanos);
  }

  @Override
  public long[] rowElements() {
    return rowElements.clone();
  }

  @Override
  public Source begin(SplittableRandom random) {
    return new Relabelled(times.begin(random.split()), random.split());
  }

  private final class Relabelled extends Source {
    private final Source source;
    private final SplittableRandom random;

    Relabelled(Source source, SplittableRandom random) {
      this.source = source;
      this.random = random;
      relabel();
    }

    private void relabel() {
      rows = source.rows;
      shape = source.shape;
      priority = source.priority;
      follow();
      labels.label(this, random);
    }

    private void follow() {
      nanos = source.nanos;
      deadlineNanos = source.deadlineNanos;
    }

    @Override
    protected void advance() {
      source.advance();
      relabel();
    }

    @Override
    protected void answered(long nowNanos) {
      long before = nanos;
      source.answered(nowNanos);
      if (source.nanos != before) {
        relabel();
      }
    }
  }
}

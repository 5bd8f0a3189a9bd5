package dev.millrace.transformers;

import dev.millrace.api.spi.TransformerFactory;
import java.util.List;

/** A kind of step that this module brings, with what people are told of it. */
abstract class StepKind implements TransformerFactory {
  /**
   * One of its options.
   *
   * @param values what may be given, for people
   * @param usual what holds if nothing is given, for people
   */
  record Option(String key, String values, String usual, String does) {}

  private final String name;

  StepKind(String name) {
    this.name = name;
  }

  @Override
  public final String name() {
    return name;
  }

  /** What the step does, in a few sentences. */
  abstract String summary();

  /** Every option that {@link #create} reads. */
  abstract List<Option> options();

  /** A list of {@code transformers} with one. */
  abstract String example();
}

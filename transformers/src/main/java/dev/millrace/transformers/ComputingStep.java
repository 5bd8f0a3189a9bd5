package dev.millrace.transformers;

import dev.millrace.api.spi.Transformer;

/** A step that never waits. */
abstract class ComputingStep implements Transformer {
  private final String name;

  ComputingStep(StepKind kind) {
    this.name = kind.name();
  }

  @Override
  public final String name() {
    return name;
  }

  @Override
  public final boolean mayBlock() {
    return false;
  }
}

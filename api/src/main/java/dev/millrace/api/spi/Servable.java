package dev.millrace.api.spi;

/**
 * A loaded model; owns the weights. Whoever loaded it closes it, after everything made from it is
 * closed.
 */
public sealed interface Servable extends AutoCloseable permits TensorModel, TextGenerator {
  /** Frees the model. Called once. */
  @Override
  void close();
}

package dev.millrace.api.spi;

import dev.millrace.api.ModelMetadata;

/**
 * A loaded model; owns the weights. Whoever loaded it closes it, after everything made from it is
 * closed.
 */
public sealed interface Servable extends AutoCloseable
    permits TensorModel, TextGenerator, UpstreamModel {
  /** What the model declares; constant. No inputs and outputs if it does not deal in tensors. */
  ModelMetadata metadata();

  /** Frees the model. Called once. */
  @Override
  void close();
}

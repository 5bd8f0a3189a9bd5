package dev.millrace.api.spi;

import dev.millrace.api.ModelMetadata;

/** A loaded model that maps tensors to tensors. Thread-safe. */
public non-sealed interface TensorModel extends Servable {
  /** What the model declares; constant. */
  ModelMetadata metadata();

  /** A new instance over the shared weights, which the caller closes before the model. */
  Predictor newPredictor();
}

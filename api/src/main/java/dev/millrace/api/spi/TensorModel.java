package dev.millrace.api.spi;

import dev.millrace.api.ModelMetadata;
import java.util.Map;

/** A loaded model that maps tensors to tensors. Thread-safe. */
public non-sealed interface TensorModel extends Servable {
  @Override
  ModelMetadata metadata();

  /** A new instance over the shared weights, which the caller closes before the model. */
  Predictor newPredictor();

  /**
   * Whether predictors look at a request's parameters and headers, and are to be given them; they
   * are not looked for otherwise.
   */
  default boolean usesParameters() {
    return false;
  }

  /**
   * The ways in which this model can be called, by name, if its format knows several, as the
   * signatures of a SavedModel; the one that this model itself is called by is among them.
   *
   * <p>Each is a model over the same weights, with inputs, outputs and predictors of its own, whose
   * metadata have the properties {@code signature} and {@code method-name}. It is freed with this
   * model; closing it does nothing.
   */
  default Map<String, TensorModel> signatures() {
    return Map.of();
  }
}

package dev.millrace.api.spi;

import dev.millrace.api.Deadline;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Flow;

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
   * Whether an answer can come as several responses, each as soon as it is made, by {@link
   * #stream}.
   */
  default boolean streams() {
    return false;
  }

  /**
   * Answers one request with any number of responses, outside of the predictors; only if it
   * {@linkplain #streams streams}.
   *
   * <p>Work starts when somebody subscribes, and is given up soon after the subscription is
   * cancelled. At most as many responses come as were requested: whoever requests slowly slows the
   * model down. They come on a thread that may be any, and which the subscriber must not block for
   * long; they are his. A failure is an {@link dev.millrace.api.InferenceException}, and may come
   * after some responses.
   *
   * @param inputs as for {@link Predictor#predict(TensorMap, List)}; the publisher's from the
   *     subscription on
   * @return a publisher for one subscriber
   */
  default Flow.Publisher<TensorMap> stream(
      TensorMap inputs, List<String> requestedOutputs, Parameters parameters, Deadline deadline) {
    throw new UnsupportedOperationException("the model does not stream");
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

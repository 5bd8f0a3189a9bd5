package dev.millrace.api;

import static java.util.Objects.requireNonNull;

/**
 * The answer to one {@link InferenceRequest}. Owns its outputs: whoever holds the response closes
 * it.
 *
 * @param id the request's
 * @param model the version that answered
 * @param outputs in the order that was asked for, else in the model's
 */
public record InferenceResponse(String id, ModelId model, TensorMap outputs, Parameters parameters)
    implements AutoCloseable {
  public InferenceResponse {
    requireNonNull(id, "id is null");
    requireNonNull(model, "model is null");
    requireNonNull(outputs, "outputs is null");
    requireNonNull(parameters, "parameters is null");
  }

  /** This response with other outputs; the caller still owns the old ones. */
  public InferenceResponse withOutputs(TensorMap other) {
    return new InferenceResponse(id, model, other, parameters);
  }

  /** Closes the outputs. */
  @Override
  public void close() {
    outputs.close();
  }
}

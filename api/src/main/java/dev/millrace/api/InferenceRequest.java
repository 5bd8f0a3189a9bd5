package dev.millrace.api;

import static java.util.Objects.requireNonNull;

import java.util.List;

/**
 * One call for inference. Owns its inputs: whoever holds the request closes it, or passes it to
 * something that says it takes it over.
 *
 * @param id the client's name for this call; empty if it gave none
 * @param model the model asked for, with a version or without
 * @param requestedOutputs names of the outputs wanted, in the order wanted; empty for all
 */
public record InferenceRequest(
    String id,
    ModelId model,
    TensorMap inputs,
    List<String> requestedOutputs,
    Parameters parameters,
    Deadline deadline)
    implements AutoCloseable {
  public InferenceRequest {
    requireNonNull(id, "id is null");
    requireNonNull(model, "model is null");
    requireNonNull(inputs, "inputs is null");
    requestedOutputs = List.copyOf(requestedOutputs);
    requireNonNull(parameters, "parameters is null");
    requireNonNull(deadline, "deadline is null");
  }

  /** A request for all outputs of the newest version, without parameters or deadline. */
  public static InferenceRequest of(String modelName, TensorMap inputs) {
    return new InferenceRequest(
        "", ModelId.latest(modelName), inputs, List.of(), Parameters.empty(), Deadline.none());
  }

  /** This request with other inputs; the caller still owns the old ones. */
  public InferenceRequest withInputs(TensorMap other) {
    return new InferenceRequest(id, model, other, requestedOutputs, parameters, deadline);
  }

  /** This request with another deadline. */
  public InferenceRequest withDeadline(Deadline other) {
    return new InferenceRequest(id, model, inputs, requestedOutputs, parameters, other);
  }

  /** Closes the inputs. */
  @Override
  public void close() {
    inputs.close();
  }
}

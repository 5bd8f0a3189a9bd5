package dev.millrace.api;

import static java.util.Objects.requireNonNull;

import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * One call for inference. Owns its inputs: whoever holds the request closes it, or passes it to
 * something that says it takes it over.
 *
 * @param id the client's name for this call; empty if it gave none
 * @param model the model asked for, with a version or without
 * @param requestedOutputs names of the outputs wanted, in the order wanted; empty for all
 * @param parameters the client's; where there are transformers, also the headers that the request
 *     came with: see {@link #header}
 * @param attributes what the parts of the server leave with the request for each other
 */
public record InferenceRequest(
    String id,
    ModelId model,
    TensorMap inputs,
    List<String> requestedOutputs,
    Parameters parameters,
    Deadline deadline,
    Attributes attributes)
    implements AutoCloseable {
  /** What the names of parameters that are headers start with. */
  public static final String HEADER_PREFIX = "header.";

  public InferenceRequest {
    requireNonNull(id, "id is null");
    requireNonNull(model, "model is null");
    requireNonNull(inputs, "inputs is null");
    requestedOutputs = List.copyOf(requestedOutputs);
    requireNonNull(parameters, "parameters is null");
    requireNonNull(deadline, "deadline is null");
    requireNonNull(attributes, "attributes is null");
  }

  /** A request as a client makes it: without attributes. */
  public InferenceRequest(
      String id,
      ModelId model,
      TensorMap inputs,
      List<String> requestedOutputs,
      Parameters parameters,
      Deadline deadline) {
    this(id, model, inputs, requestedOutputs, parameters, deadline, Attributes.empty());
  }

  /** A request for all outputs of the newest version, without parameters or deadline. */
  public static InferenceRequest of(String modelName, TensorMap inputs) {
    return new InferenceRequest(
        "", ModelId.latest(modelName), inputs, List.of(), Parameters.empty(), Deadline.none());
  }

  /** This request with other inputs; the caller still owns the old ones. */
  public InferenceRequest withInputs(TensorMap other) {
    return new InferenceRequest(
        id, model, other, requestedOutputs, parameters, deadline, attributes);
  }

  /** This request for other outputs; the inputs move to it. */
  public InferenceRequest withRequestedOutputs(List<String> names) {
    return new InferenceRequest(id, model, inputs, names, parameters, deadline, attributes);
  }

  /** This request with other parameters; the inputs move to it. */
  public InferenceRequest withParameters(Parameters other) {
    return new InferenceRequest(id, model, inputs, requestedOutputs, other, deadline, attributes);
  }

  /** This request with another deadline; the inputs move to it. */
  public InferenceRequest withDeadline(Deadline other) {
    return new InferenceRequest(id, model, inputs, requestedOutputs, parameters, other, attributes);
  }

  /** This request with one more attribute; the inputs move to it. */
  public <T> InferenceRequest withAttribute(Attributes.Key<T> key, T value) {
    return new InferenceRequest(
        id, model, inputs, requestedOutputs, parameters, deadline, attributes.with(key, value));
  }

  /** What was left under {@code key}. */
  public <T> Optional<T> attribute(Attributes.Key<T> key) {
    return attributes.get(key);
  }

  /**
   * The value of the header (of HTTP) or the metadata (of gRPC) of that name, in upper or lower
   * case; several are joined by commas. They stand among the parameters as {@link #HEADER_PREFIX}
   * and the name in lower case.
   */
  public Optional<String> header(String name) {
    return parameters.string(HEADER_PREFIX + name.toLowerCase(Locale.ROOT));
  }

  /** Closes the inputs. */
  @Override
  public void close() {
    inputs.close();
  }
}

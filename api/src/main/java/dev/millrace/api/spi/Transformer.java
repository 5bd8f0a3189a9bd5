package dev.millrace.api.spi;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelMetadata;

/**
 * A step before and after a predictor. Called by many threads at once.
 *
 * <p>A request passes {@link #preprocess} of each step of its model's list in order, then the
 * batcher and the predictor, then {@link #postprocess} of each step in reverse. What a step wants
 * to know in its second half it leaves with the request, by {@link InferenceRequest#withAttribute}
 * and a key of its own. A request made from another is made by its {@code with} methods, which keep
 * what other steps left.
 *
 * <p>A step that fails throws an {@link dev.millrace.api.InferenceException} (any other exception
 * counts as INTERNAL) and leaves the tensors it was given to the caller. The client is told the
 * step's name, the code and the message.
 */
public interface Transformer extends AutoCloseable {
  /** The step's name in errors and measurements. */
  String name();

  /**
   * Whether the step may wait for something. One that does runs on a virtual thread. One that only
   * computes runs where the request is, which may be an event loop or the thread of a model's
   * instance, or, once it has been seen to take long for requests of that size, on a pool of
   * platform threads.
   */
  boolean mayBlock();

  /**
   * What the model looks like to whoever stands before this step: the client, or the step before it
   * in the list. Called once, when the model loads. A client's request is checked against the
   * metadata at the outer end of the list, and clients are shown those.
   *
   * <p>If a step changes the list of outputs, the steps and the model behind it are asked for all
   * of theirs, unless it asks for certain ones in {@link #preprocess}; what the client did not ask
   * for is left out at the end.
   *
   * @param inner what the next step, or the model itself, declares; no inputs or outputs if it does
   *     not say
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT or FAILED_PRECONDITION if the step
   *     does not fit, as when it makes an input that is not there; the model then does not load
   */
  default ModelMetadata describe(ModelMetadata inner) {
    return inner;
  }

  /**
   * What the model shall get.
   *
   * @return the same request, or another made from it; in that case this step has closed the inputs
   *     that are in the old one and not in the new
   */
  default InferenceRequest preprocess(InferenceRequest request) {
    return request;
  }

  /**
   * What the client shall get.
   *
   * @param request what the model got; its tensors are gone, the rest can be read
   * @return the same response, or another made from it; in that case this step has closed the
   *     outputs that are in the old one and not in the new
   */
  default InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
    return response;
  }

  /** Frees what the step holds. Called once, after the last call. */
  @Override
  default void close() {}
}

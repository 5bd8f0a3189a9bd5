package dev.millrace.api.spi;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;

/**
 * A step before and after a predictor. Called by many threads at once.
 *
 * <p>A step that fails throws an {@link dev.millrace.api.InferenceException} (any other exception
 * counts as INTERNAL) and leaves the tensors it was given to the caller.
 */
public interface Transformer extends AutoCloseable {
  /** The step's name in errors and measurements. */
  String name();

  /**
   * Whether the step may wait for something. One that does runs on a virtual thread, one that only
   * computes runs where the request is.
   */
  boolean mayBlock();

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

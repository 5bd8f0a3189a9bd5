package dev.millrace.api.spi;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import java.util.List;

/**
 * One instance of a model. Never called by two threads at once, but for {@link #abandon}, though
 * not always by the same one; {@link #predict} may take long and may run native code.
 */
public interface Predictor extends AutoCloseable {
  /**
   * Runs the model.
   *
   * @param inputs checked against the model's metadata: every name is declared, every required
   *     input is there, datatypes and shapes fit. Still the caller's, who closes them afterwards;
   *     not to be kept.
   * @param requestedOutputs names of the outputs to compute, all declared; empty for all
   * @return the outputs asked for, in that order, else all in the model's; now the caller's. Their
   *     memory is not the inputs'.
   * @throws InferenceException INVALID_ARGUMENT if the values of the inputs are at fault, INTERNAL
   *     if the engine is
   */
  TensorMap predict(TensorMap inputs, List<String> requestedOutputs);

  /**
   * As {@link #predict(TensorMap, List)}, which it is unless a model {@linkplain
   * TensorModel#usesParameters uses parameters}.
   *
   * @param parameters the request's, with the headers that it came with: see {@link
   *     dev.millrace.api.InferenceRequest#header}. Empty where the inputs may be those of several
   *     requests, which is where the model is given a largest batch size.
   */
  default TensorMap predict(
      TensorMap inputs, List<String> requestedOutputs, Parameters parameters) {
    return predict(inputs, requestedOutputs);
  }

  /**
   * Nobody waits for the outputs of the run that goes on: {@link #predict} should end it soon, if
   * it can, with whatever exception. Called by another thread, between the call of {@link #predict}
   * and its return, and at most once for each; it must return at once, and later runs must not be
   * affected. By default the run goes on to its end.
   */
  default void abandon() {}

  /** Frees the instance. Called once, not during {@link #predict}. */
  @Override
  void close();
}

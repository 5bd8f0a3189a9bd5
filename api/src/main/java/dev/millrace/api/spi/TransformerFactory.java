package dev.millrace.api.spi;

import dev.millrace.api.InferenceException;

/**
 * The plug-in for one kind of transformer, found by {@link java.util.ServiceLoader}. Lives as long
 * as the process. Methods may be called from any thread, and by several at once; they may block.
 */
public interface TransformerFactory {
  /** The kind's name in a model's list of transformers: lower case with dashes. */
  String name();

  /**
   * Makes a step of a model that is being loaded.
   *
   * @param source whose settings this method reads; a key that it has not asked for is then refused
   * @return the step, which the caller closes
   * @throws InferenceException with a message that a person can act on: INVALID_ARGUMENT for
   *     settings, FAILED_PRECONDITION for files
   */
  Transformer create(TransformerSource source);
}

package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import java.time.Duration;

/**
 * Is told how loading goes on. Called on the loading threads, by several at once; returns soon and
 * does not throw.
 */
public interface LoadListener {
  /** A listener that does nothing. */
  LoadListener NONE = new LoadListener() {};

  /** The version's files were found, and loading begins. */
  default void loading(ModelId model) {}

  /** The version is warmed up and serves. */
  default void loaded(ModelId model, ModelDescription description, Duration elapsed) {}

  /** The version, or the whole model if no version is named, cannot be served. */
  default void failed(ModelId model, InferenceException reason, Duration elapsed) {}
}

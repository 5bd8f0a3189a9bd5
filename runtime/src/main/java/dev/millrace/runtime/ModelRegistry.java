package dev.millrace.runtime;

import dev.millrace.api.ModelId;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** What is loaded now. Thread-safe. */
@SuppressWarnings({"DoNotCallSuggester", "DoNotCall"}) // bodies follow
public final class ModelRegistry {
  ModelRegistry() {}

  /**
   * Loads every model of the configured places, several at once, and blocks until each has either
   * loaded or failed. A model that fails is recorded with its reason and does not stop the others.
   *
   * @throws dev.millrace.api.InferenceException if a place does not exist or holds nothing that a
   *     backend recognises
   */
  public void loadAll(LoadListener progress) {
    throw new UnsupportedOperationException();
  }

  /**
   * Loads a model of the configured places, or loads it again: what is served now keeps serving
   * until the new one is warmed up, and if that fails, it stays.
   *
   * @param overrides settings that win over all others, with the keys of {@code model.yaml} or the
   *     snake-case ones of Triton's model configuration
   * @return completes when the new one serves, or with an InferenceException whose message starts
   *     {@code failed to load 'name', }
   */
  public CompletableFuture<Void> load(String name, Map<String, Object> overrides) {
    throw new UnsupportedOperationException();
  }

  /**
   * Stops serving a model: new requests are refused at once.
   *
   * @return completes when the last lease is closed and the memory is freed, or with an
   *     InferenceException NOT_FOUND
   */
  public CompletableFuture<Void> unload(String name) {
    throw new UnsupportedOperationException();
  }

  /** Every version of every model known, by name, then oldest first. */
  public List<ModelStatus> index() {
    throw new UnsupportedOperationException();
  }

  /**
   * What is served under {@code id}.
   *
   * @throws dev.millrace.api.InferenceException as {@link #lease}
   */
  public ModelDescription describe(ModelId id) {
    throw new UnsupportedOperationException();
  }

  /**
   * Whether that version, or any if none is named, serves.
   *
   * @throws dev.millrace.api.InferenceException NOT_FOUND if there is no such model or version,
   *     INVALID_ARGUMENT if the version is not a number
   */
  public boolean isReady(ModelId id) {
    throw new UnsupportedOperationException();
  }

  /**
   * The right to use that version, or the newest that is ready; the caller closes it.
   *
   * @throws dev.millrace.api.InferenceException NOT_FOUND if there is no such model or version,
   *     UNAVAILABLE if it is not ready, INVALID_ARGUMENT if the version is not a number
   */
  public ModelLease lease(ModelId id) {
    throw new UnsupportedOperationException();
  }
}

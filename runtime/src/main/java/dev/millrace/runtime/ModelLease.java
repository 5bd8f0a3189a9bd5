package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.api.spi.Servable;
import dev.millrace.batcher.policy.LearnedState;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The right to use a loaded version: it is not freed before the lease is closed, even if it is
 * unloaded or replaced meanwhile. Whoever took it closes it; from any thread.
 */
public final class ModelLease implements AutoCloseable {
  private final LoadedModel model;
  private final AtomicBoolean open = new AtomicBoolean(true);

  /**
   * @param model acquired; released by this
   */
  ModelLease(LoadedModel model) {
    this.model = model;
  }

  /** Name and version of what is leased. */
  public ModelId id() {
    return model.id();
  }

  /** What the version declares. */
  public ModelMetadata metadata() {
    return model.metadata();
  }

  /** The version itself, which stays the registry's; to be used under the lease only. */
  public Servable servable() {
    return model.servable();
  }

  /** What the version's batcher has learned; empty if it does not learn. */
  public Optional<LearnedState> learned() {
    return model.batcher().learned();
  }

  /**
   * Whether anything takes note of the version's inferences. For a version that does not deal in
   * tensors, whoever runs them tells it, by the following methods.
   */
  public boolean isLogged() {
    return model.pipeline().isLogged();
  }

  /**
   * Takes note of what goes in, which is only made if somebody wants it.
   *
   * @throws InferenceException RESOURCE_EXHAUSTED if requests are to be refused rather than served
   *     without being logged
   */
  public void logInputs(String id, Parameters parameters, Supplier<TensorMap> inputs) {
    model.pipeline().admitToLog();
    model.pipeline().log(Side.MODEL_INPUTS, id, parameters, inputs, null);
  }

  /**
   * Takes note of what came out, which is only made if somebody wants it.
   *
   * @param error why the inference failed; null if it did not
   */
  public void logPredictions(
      String id,
      Parameters parameters,
      Supplier<TensorMap> outputs,
      @Nullable InferenceException error) {
    model.pipeline().log(Side.PREDICTIONS, id, parameters, outputs, error);
  }

  /** Gives the right back; a second call does nothing. */
  @Override
  public void close() {
    if (open.compareAndSet(true, false)) {
      model.release();
    }
  }
}

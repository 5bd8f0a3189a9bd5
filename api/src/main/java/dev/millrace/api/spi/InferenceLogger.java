package dev.millrace.api.spi;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.ModelId;
import dev.millrace.api.TensorMap;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * Receives what goes into a model and what comes out. Called by many threads at once, event loops
 * among them.
 */
public interface InferenceLogger extends AutoCloseable {
  /** Takes note of one record: returns at once, never throws. */
  void log(InferenceRecord record);

  /** Sends what is held, as far as the grace period goes. Called once, after the last record. */
  @Override
  default void close() {}

  /** Which side of the predictor a record shows. */
  enum Side {
    MODEL_INPUTS,
    PREDICTIONS
  }

  /**
   * One side of one inference.
   *
   * @param id the same for both sides
   * @param tensors valid during {@link #log} only: a logger that needs them longer copies them;
   *     empty if the inference failed
   * @param error why the inference failed; null if it did not
   */
  record InferenceRecord(
      Side side,
      String id,
      ModelId model,
      Instant time,
      TensorMap tensors,
      @Nullable ErrorCode error) {}
}

package dev.millrace.api.spi;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Receives what goes into models and what comes out. Called by many threads at once, event loops
 * among them: {@link #admit}, {@link #wants} and {@link #log} return at once.
 */
public interface InferenceLogger extends AutoCloseable {
  /**
   * What takes the records of one model version; this logger itself, if it treats all alike. Called
   * whenever a version is loaded; may block.
   *
   * @param settings the model's own section for loggers; the logger refuses unknown keys by {@link
   *     Settings#rejectUnknown}
   * @throws InferenceException if the settings do not do, or the records could not be delivered;
   *     the load then fails
   */
  default InferenceLogger forModel(ModelId model, Settings settings) {
    return this;
  }

  /**
   * Called before a request runs.
   *
   * @throws InferenceException RESOURCE_EXHAUSTED if requests are to be refused rather than served
   *     without being logged; nothing else
   */
  default void admit() {}

  /**
   * Whether that side of a request shall be logged. Asked before a record is made, so that what is
   * not wanted costs nothing; never throws.
   *
   * @param id the request's, made up if the client gave none
   * @param parameters the request's, with {@code header.NAME} for what came in headers
   */
  default boolean wants(Side side, String id, Parameters parameters) {
    return true;
  }

  /** Takes note of one record: returns at once, never throws. */
  void log(InferenceRecord record);

  /**
   * How the records of a model are treated now, by the keys of its section.
   *
   * @param model a model's name; all its versions are treated alike
   */
  default Map<String, Object> settings(String model) {
    return Map.of();
  }

  /**
   * Treats the records of a model differently from now on, and until the process ends.
   *
   * @param changes some of the keys of the model's section
   * @throws InferenceException INVALID_ARGUMENT for a key or value that does not do, or cannot be
   *     changed while the model serves; nothing is changed then
   */
  default void change(String model, Settings changes) {
    throw new InferenceException(
        dev.millrace.api.ErrorCode.UNIMPLEMENTED, "this logger has nothing that can be changed");
  }

  /** What is held now; empty for a logger that holds nothing. */
  default Holdings holdings() {
    return Holdings.NONE;
  }

  /** Sends what is held, for at most that long. Called once, after the last record. */
  default void close(Duration grace) {}

  /** As {@link #close(Duration)}, without any time. */
  @Override
  default void close() {
    close(Duration.ZERO);
  }

  /** Which side of the predictor a record shows. */
  enum Side {
    MODEL_INPUTS,
    PREDICTIONS
  }

  /**
   * One side of one inference.
   *
   * @param id the same for both sides
   * @param parameters the request's, on both sides
   * @param tensors valid during {@link #log} only: a logger that needs them longer copies them;
   *     empty if the inference failed
   * @param error why the inference failed; null if it did not
   */
  record InferenceRecord(
      Side side,
      String id,
      ModelId model,
      Instant time,
      Parameters parameters,
      TensorMap tensors,
      @Nullable InferenceException error) {}

  /**
   * What a logger has accepted and not delivered.
   *
   * @param bufferedBytes in memory
   * @param spooledBytes on disk
   * @param lag age of the oldest of it
   */
  record Holdings(long bufferedBytes, long spooledBytes, Duration lag) {
    public static final Holdings NONE = new Holdings(0, 0, Duration.ZERO);
  }
}

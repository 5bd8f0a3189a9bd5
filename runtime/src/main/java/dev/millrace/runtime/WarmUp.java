package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs every instance of a model before its first request, because engines allocate, choose kernels
 * and compile on the first run of a shape; so it also finds made-up inputs that the model takes.
 *
 * <p>A batchable model runs once with one row and once with two. Made-up inputs may be wrong for a
 * model that is right, so a run that fails is reported and does not fail the load; it does if the
 * engine says, by FAILED_PRECONDITION or UNIMPLEMENTED, that it cannot run the model at all. No new
 * run begins after half a minute, and none of a model that declares no inputs.
 */
final class WarmUp {
  private static final Logger LOG = LoggerFactory.getLogger(WarmUp.class);

  /** How long made-up inputs may keep a model from serving where nothing else bounds them. */
  static final Duration LIMIT = Duration.ofSeconds(30);

  /** What stands for a size that may be any, the best first: a short text, a small picture. */
  private static final int[] INNER_SIZES = {16, 1};

  private final ModelMetadata metadata;
  private final List<Predictor> predictors;
  private final Ticker ticker;
  private final long startNanos;

  private WarmUp(ModelMetadata metadata, List<Predictor> predictors, Ticker ticker) {
    this.metadata = metadata;
    this.predictors = predictors;
    this.ticker = ticker;
    this.startNanos = ticker.nanos();
  }

  /**
   * Runs the predictors, which stay the caller's.
   *
   * @return inputs that the model takes, of one row at least; empty if none were found, or the time
   *     was over
   * @throws InferenceException if the engine cannot run the model at all
   */
  static Optional<SyntheticInputs> run(
      ModelMetadata metadata, List<Predictor> predictors, Ticker ticker) {
    if (metadata.inputs().isEmpty()) {
      LOG.debug("{}: declares no inputs, so none are made up to warm it up", metadata.id());
      return Optional.empty();
    }
    return new WarmUp(metadata, predictors, ticker).run();
  }

  private Optional<SyntheticInputs> run() {
    for (int size : INNER_SIZES) {
      SyntheticInputs inputs = new SyntheticInputs(metadata, size);
      Optional<InferenceException> failure = runOnce(predictors.getFirst(), inputs, 1);
      if (failure.isEmpty()) {
        return runOthers(inputs) ? Optional.of(inputs) : Optional.empty();
      }
      if (!inputs.hasInnerSize() || size == INNER_SIZES[INNER_SIZES.length - 1]) {
        LOG.warn(
            "{}: cannot be warmed up with made-up inputs, so its first request will be slow: {}",
            metadata.id(),
            failure.get().getMessage());
        break;
      }
    }
    return Optional.empty();
  }

  /** The runs after the first one; false if the time was over. */
  private boolean runOthers(SyntheticInputs inputs) {
    int mostRows = inputs.canBatch() && metadata.maxBatchSize() > 1 ? 2 : 1;
    for (int rows = 1; rows <= mostRows; rows++) {
      for (int i = rows == 1 ? 1 : 0; i < predictors.size(); i++) {
        if (ticker.nanos() - startNanos > LIMIT.toNanos()) {
          LOG.warn("{}: warm-up ended after {} s", metadata.id(), LIMIT.toSeconds());
          return false;
        }
        Optional<InferenceException> failure = runOnce(predictors.get(i), inputs, rows);
        if (failure.isPresent()) {
          LOG.warn(
              "{}: warm-up with {} rows failed: {}",
              metadata.id(),
              rows,
              failure.get().getMessage());
          return true;
        }
      }
    }
    return true;
  }

  /** One run; what it failed of, if that does not fail the load. */
  private Optional<InferenceException> runOnce(
      Predictor predictor, SyntheticInputs made, int rows) {
    try (TensorMap inputs = made.firstRows(rows);
        TensorMap outputs = predictor.predict(inputs, List.of())) {
      LOG.debug("{}: warmed up with {}, got {}", metadata.id(), inputs, outputs);
      return Optional.empty();
    } catch (RuntimeException e) {
      InferenceException failure = InferenceException.of(e);
      if (failure.code() == ErrorCode.FAILED_PRECONDITION
          || failure.code() == ErrorCode.UNIMPLEMENTED) {
        throw failure;
      }
      return Optional.of(failure);
    }
  }
}

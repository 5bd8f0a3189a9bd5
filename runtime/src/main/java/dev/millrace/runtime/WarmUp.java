package dev.millrace.runtime;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs every instance of a model before its first request, because engines allocate, choose kernels
 * and compile on the first run of a shape.
 *
 * <p>The inputs are made up from the metadata: zeros, or empty texts, in the declared shapes, with
 * 1 where any size goes; for a batchable model once with one row and once with two. Such inputs may
 * be wrong for a model that is right, so a run that fails is reported and does not fail the load;
 * it does if the engine says, by FAILED_PRECONDITION or UNIMPLEMENTED, that it cannot run the model
 * at all. No new run begins after half a minute.
 */
final class WarmUp {
  private static final Logger LOG = LoggerFactory.getLogger(WarmUp.class);
  private static final Duration LIMIT = Duration.ofSeconds(30);
  private static final long MAX_INPUT_BYTES = 1 << 28;

  private WarmUp() {}

  /**
   * Runs the predictors, which stay the caller's.
   *
   * @throws InferenceException if the engine cannot run the model at all
   */
  static void run(ModelMetadata metadata, List<Predictor> predictors, Ticker ticker) {
    int[] batchSizes = metadata.maxBatchSize() > 1 ? new int[] {1, 2} : new int[] {1};
    long start = ticker.nanos();
    for (int rows : batchSizes) {
      for (Predictor predictor : predictors) {
        if (ticker.nanos() - start > LIMIT.toNanos()) {
          LOG.warn("{}: warm-up ended after {} s", metadata.id(), LIMIT.toSeconds());
          return;
        }
        if (!runOnce(metadata, predictor, rows)) {
          return;
        }
      }
    }
  }

  private static boolean runOnce(ModelMetadata metadata, Predictor predictor, int rows) {
    try (TensorMap inputs = inputs(metadata, rows);
        TensorMap outputs = predictor.predict(inputs, List.of())) {
      LOG.debug("{}: warmed up with {}, got {}", metadata.id(), inputs, outputs);
      return true;
    } catch (RuntimeException e) {
      InferenceException failure = InferenceException.of(e);
      if (failure.code() == ErrorCode.FAILED_PRECONDITION
          || failure.code() == ErrorCode.UNIMPLEMENTED) {
        throw failure;
      }
      LOG.warn(
          "{}: cannot be warmed up with zeros, so its first request will be slow: {}",
          metadata.id(),
          failure.getMessage());
      return false;
    }
  }

  private static TensorMap inputs(ModelMetadata metadata, int rows) {
    try (TensorMap.Builder inputs = TensorMap.builder()) {
      for (TensorSpec spec : metadata.inputs()) {
        if (!spec.optional()) {
          inputs.put(spec.name(), zeros(spec, metadata.isBatchable() ? rows : 1));
        }
      }
      return inputs.build();
    }
  }

  private static Tensor zeros(TensorSpec spec, int rows) {
    long[] dims = spec.shape().dims();
    for (int i = 0; i < dims.length; i++) {
      if (dims[i] == Shape.ANY) {
        dims[i] = i == 0 ? rows : 1;
      }
    }
    Shape shape = Shape.of(dims);
    // An empty text is its length, 0, in four bytes.
    int elementSize = spec.dataType() == DataType.BYTES ? 4 : spec.dataType().byteSize();
    if (shape.elementCount() > MAX_INPUT_BYTES / elementSize) {
      throw InferenceException.invalidArgument(
          "input '%s' of %s%s is too large to make up"
              .formatted(spec.name(), spec.dataType(), shape));
    }
    int size = (int) shape.elementCount() * elementSize;
    return Tensor.wrap(spec.dataType(), shape, ByteBuffer.allocateDirect(size));
  }
}

package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Transformer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One step of a chain, with its name there and what is measured of it. Thread-safe. */
final class ChainStep {
  private static final Logger LOG = LoggerFactory.getLogger(ChainStep.class);

  /** What kind of thread a request is on, or has to be on. */
  enum Place {
    /** One that others need back soon: an event loop, a worker, the runner of an instance. */
    BORROWED,
    /** One of the pool for computations. */
    COMPUTING,
    /** A virtual one. */
    WAITING
  }

  private final String name;
  private final Transformer transformer;
  private final StepCost preprocess;
  private final StepCost postprocess;
  private final Ticker ticker;

  ChainStep(String name, Transformer transformer, ModelMeters meters, Ticker ticker) {
    this.name = name;
    this.transformer = transformer;
    this.preprocess = new StepCost(meters.step(name, "preprocess"));
    this.postprocess = new StepCost(meters.step(name, "postprocess"));
    this.ticker = ticker;
  }

  /** Where the first half has to run for a request that is at {@code current}. */
  Place preprocessPlace(InferenceRequest request, Place current) {
    return place(preprocess, request.inputs().byteSize(), current);
  }

  /** Where the second half has to run for a response that is at {@code current}. */
  Place postprocessPlace(InferenceResponse response, Place current) {
    return place(postprocess, response.outputs().byteSize(), current);
  }

  private Place place(StepCost cost, long bytes, Place current) {
    if (transformer.mayBlock()) {
      return Place.WAITING;
    }
    return cost.isLong(bytes) ? Place.COMPUTING : current;
  }

  /**
   * The first half; takes the request over, unless it throws.
   *
   * @throws InferenceException that names the step
   */
  InferenceRequest preprocess(InferenceRequest request) {
    long bytes = request.inputs().byteSize();
    long start = ticker.nanos();
    try {
      return transformer.preprocess(request);
    } catch (Throwable e) {
      throw failure("preprocess", e);
    } finally {
      preprocess.record(bytes, ticker.nanos() - start);
    }
  }

  /**
   * The second half; takes the response over, unless it throws.
   *
   * @throws InferenceException that names the step
   */
  InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
    long bytes = response.outputs().byteSize();
    long start = ticker.nanos();
    try {
      return transformer.postprocess(request, response);
    } catch (Throwable e) {
      throw failure("postprocess", e);
    } finally {
      postprocess.record(bytes, ticker.nanos() - start);
    }
  }

  private InferenceException failure(String verb, Throwable cause) {
    InferenceException failure = InferenceException.of(cause);
    if (failure.isFault()) {
      LOG.error("transformer '{}' failed to {}", name, verb, cause);
    }
    return failure.withMessage(
        "transformer '%s' failed to %s: %s".formatted(name, verb, failure.getMessage()));
  }
}

package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Transformer;
import io.opentelemetry.api.trace.Span;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One step of a chain, with its name there, what is measured of it, and its spans. Thread-safe. */
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
  private final String preprocessName;
  private final String postprocessName;
  private final Transformer transformer;
  private final StepCost preprocess;
  private final StepCost postprocess;
  private final Ticker ticker;

  ChainStep(String name, Transformer transformer, ModelMeters meters, Ticker ticker) {
    this.name = name;
    this.preprocessName = "preprocess " + name;
    this.postprocessName = "postprocess " + name;
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
  InferenceRequest preprocess(InferenceRequest request, Trace trace) {
    long bytes = request.inputs().byteSize();
    Span span = trace.start(preprocessName);
    long start = ticker.nanos();
    try {
      return transformer.preprocess(request);
    } catch (Throwable e) {
      throw failure("preprocess", e, span);
    } finally {
      preprocess.record(bytes, ticker.nanos() - start);
      span.end();
    }
  }

  /**
   * The second half; takes the response over, unless it throws.
   *
   * @throws InferenceException that names the step
   */
  InferenceResponse postprocess(InferenceRequest request, InferenceResponse response, Trace trace) {
    long bytes = response.outputs().byteSize();
    Span span = trace.start(postprocessName);
    long start = ticker.nanos();
    try {
      return transformer.postprocess(request, response);
    } catch (Throwable e) {
      throw failure("postprocess", e, span);
    } finally {
      postprocess.record(bytes, ticker.nanos() - start);
      span.end();
    }
  }

  private InferenceException failure(String verb, Throwable cause, Span span) {
    InferenceException failure = InferenceException.of(cause);
    Trace.fail(span, failure);
    if (failure.isFault()) {
      LOG.error("transformer '{}' failed to {}", name, verb, cause);
    }
    return failure.withMessage(
        "transformer '%s' failed to %s: %s".formatted(name, verb, failure.getMessage()));
  }
}

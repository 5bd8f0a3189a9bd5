package dev.millrace.runtime;

import static io.opentelemetry.api.common.AttributeKey.doubleKey;
import static io.opentelemetry.api.common.AttributeKey.longKey;
import static io.opentelemetry.api.common.AttributeKey.stringKey;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.InferenceLogger.InferenceRecord;
import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.batcher.Batcher;
import dev.millrace.batcher.Reply;
import dev.millrace.runtime.ChainStep.Place;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Span;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Flow;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The way of a request through one loaded version: preprocess, log MODEL_INPUTS, batcher, log
 * PREDICTIONS, postprocess. This class has the steps; {@link Inference} takes one request through
 * them. Thread-safe.
 */
final class Pipeline {
  private static final Logger LOG = LoggerFactory.getLogger(Pipeline.class);

  private static final AttributeKey<String> MODEL_NAME = stringKey("millrace.model.name");
  private static final AttributeKey<String> MODEL_VERSION = stringKey("millrace.model.version");
  private static final AttributeKey<Double> QUEUE_DURATION = doubleKey("millrace.queue.duration");
  private static final AttributeKey<Double> COMPUTE_DURATION =
      doubleKey("millrace.compute.duration");
  private static final AttributeKey<Long> BATCH_SIZE = longKey("millrace.batch.size");

  private final ModelId id;
  private final String spanName;
  private final List<ChainStep> steps;
  private final Steps around;
  private final List<InferenceLogger> loggers;
  private final RequestValidator outerValidator;
  private final RequestValidator validator;
  private final boolean outputsChange;
  private final Optional<Duration> defaultTimeout;
  private final PriorityLevels priorities;
  private final Batcher batcher;
  private final TensorModel served;
  private final ModelMeters meters;
  private final FrontEnd frontEnd;
  private final Ticker ticker;

  /**
   * @param outer what clients see of the model
   * @param model what it declares itself
   * @param served what the predictors are of
   */
  Pipeline(
      ModelMetadata outer,
      ModelMetadata model,
      Optional<Duration> defaultTimeout,
      PriorityLevels priorities,
      Chain chain,
      Steps around,
      List<InferenceLogger> loggers,
      Batcher batcher,
      TensorModel served,
      ModelMeters meters,
      FrontEnd frontEnd,
      Ticker ticker) {
    this.id = model.id();
    this.spanName = "predict " + id.name();
    this.steps = chain.measured(meters, ticker);
    this.around = around;
    this.loggers = loggers;
    this.outerValidator = new RequestValidator(outer);
    this.validator = new RequestValidator(model);
    this.outputsChange = !outer.outputs().equals(model.outputs());
    this.defaultTimeout = defaultTimeout;
    this.priorities = priorities;
    this.batcher = batcher;
    this.served = served;
    this.meters = meters;
    this.frontEnd = frontEnd;
    this.ticker = ticker;
  }

  ModelId id() {
    return id;
  }

  List<ChainStep> steps() {
    return steps;
  }

  /** Whether anything on the way looks at the headers that a request came with. */
  boolean wantsHeaders() {
    return served.usesParameters() || !steps.isEmpty() || isLogged();
  }

  /** Starts the span of a prediction, to be ended by {@link #endSpan}. */
  Span startSpan(Trace trace) {
    Span span = trace.start(spanName);
    if (span.isRecording()) {
      span.setAttribute(MODEL_NAME, id.name());
      span.setAttribute(MODEL_VERSION, id.version());
    }
    return span;
  }

  /** Ends the span of a prediction with what the batcher measured. */
  static void endSpan(Span span, Reply reply) {
    if (span.isRecording()) {
      span.setAttribute(QUEUE_DURATION, reply.queueNanos() / 1e9);
      span.setAttribute(COMPUTE_DURATION, reply.computeNanos() / 1e9);
      span.setAttribute(BATCH_SIZE, reply.batchRows());
      span.end();
    }
  }

  /** Whether anything takes note of inferences. */
  boolean isLogged() {
    return !loggers.isEmpty();
  }

  ModelMeters meters() {
    return meters;
  }

  long now() {
    return ticker.nanos();
  }

  /** Goes on with a request on a thread of that kind. */
  void execute(Place place, Runnable task) {
    switch (place) {
      case WAITING -> Thread.startVirtualThread(task);
      case COMPUTING -> {
        try {
          around.computing().execute(task);
        } catch (RejectedExecutionException e) { // at the very end of the server
          task.run();
        }
      }
      case BORROWED -> task.run();
    }
  }

  /**
   * The client's request, checked, with the deadline that it will be held to, and for the outputs
   * that the steps need to make those that the client asked for.
   *
   * @throws InferenceException INVALID_ARGUMENT; the request is then still the caller's
   */
  InferenceRequest admit(InferenceRequest request) {
    Optional<Duration> timeout = priorities.timeout(request, defaultTimeout);
    InferenceRequest timed = RequestValidator.withDeadline(request, timeout, frontEnd, ticker);
    if (steps.isEmpty()) { // what goes to the model is checked in any case
      return timed;
    }
    outerValidator.validate(timed);
    return outputsChange && !timed.requestedOutputs().isEmpty()
        ? timed.withRequestedOutputs(List.of())
        : timed;
  }

  /**
   * The response with the outputs that the client asked for; takes it over.
   *
   * @throws InferenceException INTERNAL if one is missing; it is then still the caller's
   */
  InferenceResponse select(InferenceResponse response, List<String> requested) {
    if (!outputsChange || requested.isEmpty()) {
      return response;
    }
    return response.withOutputs(inOrder(response.outputs(), requested));
  }

  /** Takes the inputs over, unless it throws an InferenceException. */
  Reply predict(String requestId, InferenceRequest request) {
    admitToLog();
    log(Side.MODEL_INPUTS, requestId, request.parameters(), request.inputs(), null);
    try {
      validate(request);
      return batcher.submit(
          request.inputs(),
          request.requestedOutputs(),
          served.usesParameters() ? request.parameters() : Parameters.empty(),
          request.deadline(),
          priorities.of(request));
    } catch (InferenceException e) {
      log(Side.PREDICTIONS, requestId, request.parameters(), TensorMap.empty(), e);
      throw e;
    }
  }

  /** Whether the model gives several responses to a request. */
  boolean streams() {
    return served.streams();
  }

  /**
   * The model's responses to a request, to be subscribed to once; the inputs are then the
   * publisher's.
   *
   * @throws InferenceException if the request is not one that the model takes
   */
  Flow.Publisher<TensorMap> stream(String requestId, InferenceRequest request) {
    admitToLog();
    log(Side.MODEL_INPUTS, requestId, request.parameters(), request.inputs(), null);
    try {
      validate(request);
      return served.stream(
          request.inputs(), request.requestedOutputs(), request.parameters(), request.deadline());
    } catch (InferenceException e) {
      log(Side.PREDICTIONS, requestId, request.parameters(), TensorMap.empty(), e);
      throw e;
    }
  }

  /**
   * Asks the loggers whether there may be an inference.
   *
   * @throws InferenceException RESOURCE_EXHAUSTED if there may not
   */
  void admitToLog() {
    for (int i = 0; i < loggers.size(); i++) {
      loggers.get(i).admit();
    }
  }

  /** Tells the loggers of what is made, and closed, here, if one of them wants it. */
  void log(
      Side side,
      String requestId,
      Parameters parameters,
      Supplier<TensorMap> tensors,
      @Nullable InferenceException error) {
    for (int i = 0; i < loggers.size(); i++) {
      if (loggers.get(i).wants(side, requestId, parameters)) {
        try (TensorMap made = tensors.get()) {
          log(side, requestId, parameters, made, error);
        }
        return;
      }
    }
  }

  private void validate(InferenceRequest request) {
    try {
      validator.validate(request);
    } catch (InferenceException e) {
      if (steps.isEmpty()) {
        throw e;
      }
      throw new InferenceException(
          e.code(), "what the transformers made of the request: " + e.getMessage(), e);
    }
  }

  /**
   * Tells the loggers what came out; {@code outputs} stay the caller's.
   *
   * @param parameters the request's
   */
  void logPredictions(
      String requestId,
      Parameters parameters,
      TensorMap outputs,
      @Nullable InferenceException error) {
    log(Side.PREDICTIONS, requestId, parameters, outputs, error);
  }

  private void log(
      Side side,
      String requestId,
      Parameters parameters,
      TensorMap tensors,
      @Nullable InferenceException error) {
    InferenceRecord entry = null;
    for (int i = 0; i < loggers.size(); i++) {
      InferenceLogger logger = loggers.get(i);
      try {
        if (logger.wants(side, requestId, parameters)) {
          if (entry == null) {
            entry =
                new InferenceRecord(side, requestId, id, Instant.now(), parameters, tensors, error);
          }
          logger.log(entry);
        }
      } catch (RuntimeException e) {
        LOG.error("{}: an inference logger threw, which none may", id, e);
      }
    }
  }

  /**
   * {@code outputs} in the order that was asked for; takes them over.
   *
   * @throws InferenceException INTERNAL if one is missing; they are then still the caller's
   */
  static TensorMap inOrder(TensorMap outputs, List<String> requested) {
    if (requested.isEmpty() || isInOrder(outputs, requested)) {
      return outputs;
    }
    TensorMap.Builder ordered = TensorMap.builder();
    for (String name : requested) {
      Tensor tensor = outputs.get(name);
      if (tensor == null) {
        throw new InferenceException(
            ErrorCode.INTERNAL, "the model gave no output '%s'".formatted(name));
      }
      ordered.put(name, tensor);
    }
    for (int i = 0; i < outputs.size(); i++) {
      if (!ordered.contains(outputs.name(i))) {
        outputs.tensor(i).close();
      }
    }
    return ordered.build();
  }

  private static boolean isInOrder(TensorMap outputs, List<String> requested) {
    if (outputs.size() != requested.size()) {
      return false;
    }
    for (int i = 0; i < requested.size(); i++) {
      if (!outputs.name(i).equals(requested.get(i))) {
        return false;
      }
    }
    return true;
  }
}

package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import dev.millrace.batcher.Reply;
import dev.millrace.runtime.ChainStep.Place;
import io.opentelemetry.api.trace.Span;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * One request on its way through a {@link Pipeline}: the state of the way, and the future that its
 * client holds.
 *
 * <p>Whoever completes it first, the pipeline, a cancellation or a time-out set on the future,
 * settles it: by one compare-and-set, after which the lease and the admission are given back once.
 * A step that is under way then goes on to its end, and what it made is closed.
 *
 * <p>The steps run one after the other: on the caller's thread up to the batcher and on a runner's
 * or timer's after it, until a step has to run elsewhere: on a virtual thread if it may block, on
 * the pool for computations if it takes long. From there on the others follow.
 */
final class Inference extends CompletableFuture<InferenceResponse>
    implements BiConsumer<@Nullable TensorMap, @Nullable Throwable> {
  private static final VarHandle SETTLED;

  static {
    try {
      SETTLED = MethodHandles.lookup().findVarHandle(Inference.class, "settled", boolean.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final LoadedModel model;
  private final Admission admission;
  private final String id;
  private final long admittedBytes;
  private final long startNanos;
  private final Trace trace;

  /** The model's own, until it is known that the request goes another way. */
  private Pipeline pipeline;

  /** The outputs that the client asked for. */
  private List<String> requested = List.of();

  /** What the model got; null before preprocessing has ended. */
  private @Nullable InferenceRequest prepared;

  /** Of the prediction. */
  private Span span = Span.getInvalid();

  private volatile @Nullable Reply reply;

  @SuppressWarnings("unused") // through SETTLED
  private volatile boolean settled;

  /**
   * @param model leased, and given back by this
   * @param admission entered with {@code admittedBytes}, and left by this
   */
  Inference(
      LoadedModel model,
      Admission admission,
      long admittedBytes,
      String id,
      long startNanos,
      Trace trace) {
    this.model = model;
    this.pipeline = model.pipeline();
    this.admission = admission;
    this.admittedBytes = admittedBytes;
    this.id = id;
    this.startNanos = startNanos;
    this.trace = trace;
  }

  /**
   * Starts on the way, at once if it is there, else when it is made; takes the request over.
   *
   * @param way through the model
   */
  void start(InferenceRequest request, CompletableFuture<Pipeline> way) {
    if (way.isDone() && !way.isCompletedExceptionally()) {
      pipeline = way.join();
      start(request);
      return;
    }
    var _ =
        way.whenComplete((made, failure) -> {
          if (failure != null || settled) {
            request.close();
            completeExceptionally(failure == null ? new CancellationException() : failure);
          } else {
            pipeline = made;
            start(request);
          }
        });
  }

  private void start(InferenceRequest request) {
    InferenceRequest admitted;
    try {
      admitted = pipeline.admit(request);
    } catch (RuntimeException e) {
      request.close();
      completeExceptionally(InferenceException.of(e));
      return;
    }
    if (pipeline.steps().isEmpty()) {
      predict(admitted);
    } else {
      requested = request.requestedOutputs();
      preprocess(admitted, 0, Place.BORROWED, pipeline.now());
    }
  }

  private void preprocess(InferenceRequest request, int first, Place place, long stepsStartNanos) {
    List<ChainStep> steps = pipeline.steps();
    InferenceRequest current = request;
    for (int i = first; i < steps.size(); i++) {
      if (settled) {
        current.close();
        return;
      }
      ChainStep step = steps.get(i);
      Place next = step.preprocessPlace(current, place);
      if (next != place) {
        InferenceRequest handedOver = current;
        int index = i;
        pipeline.execute(next, () -> preprocess(handedOver, index, next, stepsStartNanos));
        return;
      }
      try {
        current = step.preprocess(current, trace);
      } catch (InferenceException e) {
        current.close();
        completeExceptionally(e);
        return;
      }
    }
    pipeline.meters().preprocessed(pipeline.now() - stepsStartNanos);
    predict(current);
  }

  private void predict(InferenceRequest request) {
    if (settled) {
      request.close();
      return;
    }
    prepared = request;
    span = pipeline.startSpan(trace);
    Reply submitted;
    try {
      submitted = pipeline.predict(id, request);
    } catch (Throwable e) {
      request.close();
      InferenceException error = InferenceException.of(e);
      Trace.fail(span, error);
      span.end();
      completeExceptionally(error);
      return;
    }
    reply = submitted;
    var _ = submitted.whenComplete(this);
    if (settled) { // by a cancellation that may not have seen the reply
      submitted.cancel(false);
    }
  }

  /** The batcher's answer. */
  @Override
  public void accept(@Nullable TensorMap outputs, @Nullable Throwable failure) {
    InferenceRequest request = prepared;
    Reply completed = reply;
    if (outputs == null || request == null || completed == null) {
      fail(failure == null ? new IllegalStateException("an answer to no request") : failure);
      return;
    }
    TensorMap ordered;
    try {
      pipeline.meters().predicted(completed.queueNanos() + completed.computeNanos());
      ordered = Pipeline.inOrder(outputs, request.requestedOutputs());
    } catch (RuntimeException e) {
      outputs.close();
      fail(e);
      return;
    }
    Pipeline.endSpan(span, completed);
    pipeline.logPredictions(id, request.parameters(), ordered, null);
    InferenceResponse response =
        new InferenceResponse(id, pipeline.id(), ordered, Parameters.empty());
    if (pipeline.steps().isEmpty()) {
      succeed(response);
    } else {
      postprocess(request, response, pipeline.steps().size() - 1, Place.BORROWED, pipeline.now());
    }
  }

  /** The predictor's side failed. */
  private void fail(Throwable failure) {
    InferenceException error = InferenceException.of(failure);
    Trace.fail(span, error);
    Reply completed = reply;
    if (completed != null) {
      Pipeline.endSpan(span, completed);
    }
    InferenceRequest request = prepared;
    pipeline.logPredictions(
        id, request == null ? Parameters.empty() : request.parameters(), TensorMap.empty(), error);
    completeExceptionally(error);
  }

  private void postprocess(
      InferenceRequest request,
      InferenceResponse response,
      int first,
      Place place,
      long stepsStartNanos) {
    List<ChainStep> steps = pipeline.steps();
    InferenceResponse current = response;
    for (int i = first; i >= 0; i--) {
      if (settled) {
        current.close();
        return;
      }
      ChainStep step = steps.get(i);
      Place next = step.postprocessPlace(current, place);
      if (next != place) {
        InferenceResponse handedOver = current;
        int index = i;
        pipeline.execute(
            next, () -> postprocess(request, handedOver, index, next, stepsStartNanos));
        return;
      }
      try {
        current = step.postprocess(request, current, trace);
      } catch (InferenceException e) {
        current.close();
        completeExceptionally(e);
        return;
      }
    }
    pipeline.meters().postprocessed(pipeline.now() - stepsStartNanos);
    answer(current);
  }

  /** Succeeds with what the client asked for. */
  private void answer(InferenceResponse response) {
    InferenceResponse answer;
    try {
      answer = pipeline.select(response, requested);
    } catch (InferenceException e) {
      response.close();
      completeExceptionally(e);
      return;
    }
    succeed(answer);
  }

  private void succeed(InferenceResponse response) {
    if (!complete(response)) {
      response.close();
    }
  }

  @Override
  public boolean complete(InferenceResponse response) {
    if (!settle(null)) {
      return false;
    }
    return super.complete(response);
  }

  @Override
  public boolean completeExceptionally(Throwable failure) {
    if (!settle(InferenceException.of(failure).code())) {
      return false;
    }
    abandonReply();
    return super.completeExceptionally(failure);
  }

  /** Drops the request if it does not run yet; if it does, its result will be closed. */
  @Override
  public boolean cancel(boolean mayInterruptIfRunning) {
    if (!settle(ErrorCode.CANCELLED)) {
      return isCancelled();
    }
    abandonReply();
    return super.cancel(mayInterruptIfRunning);
  }

  private void abandonReply() {
    Reply submitted = reply;
    if (submitted != null) {
      submitted.cancel(false);
    }
  }

  private boolean settle(@Nullable ErrorCode error) {
    if (!SETTLED.compareAndSet(this, false, true)) {
      return false;
    }
    pipeline.meters().answered(error, pipeline.now() - startNanos);
    admission.leave(admittedBytes);
    model.release();
    return true;
  }
}

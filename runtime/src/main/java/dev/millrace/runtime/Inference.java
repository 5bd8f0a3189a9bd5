package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Transformer;
import dev.millrace.batcher.Reply;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One request on its way through a {@link Pipeline}: the state of the way, and the future that its
 * client holds.
 *
 * <p>Whoever completes it first, the pipeline, a cancellation or a time-out set on the future,
 * settles it: by one compare-and-set, after which the lease and the admission are given back once.
 * A step that is under way then goes on to its end, and what it made is closed.
 *
 * <p>The steps run one after the other: on the caller's thread up to the batcher, on a runner's or
 * timer's after it, and on a virtual thread from the first step that may block to the next
 * hand-off.
 */
final class Inference extends CompletableFuture<InferenceResponse>
    implements BiConsumer<@Nullable TensorMap, @Nullable Throwable> {
  private static final Logger LOG = LoggerFactory.getLogger(Inference.class);
  private static final VarHandle SETTLED;

  static {
    try {
      SETTLED = MethodHandles.lookup().findVarHandle(Inference.class, "settled", boolean.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final LoadedModel model;
  private final Pipeline pipeline;
  private final Admission admission;
  private final String id;
  private final long admittedBytes;
  private final long startNanos;

  /** What the model got; null before preprocessing has ended. */
  private @Nullable InferenceRequest prepared;

  private volatile @Nullable Reply reply;

  @SuppressWarnings("unused") // through SETTLED
  private volatile boolean settled;

  /**
   * @param model leased, and given back by this
   * @param admission entered with {@code admittedBytes}, and left by this
   */
  Inference(
      LoadedModel model, Admission admission, long admittedBytes, String id, long startNanos) {
    this.model = model;
    this.pipeline = model.pipeline();
    this.admission = admission;
    this.admittedBytes = admittedBytes;
    this.id = id;
    this.startNanos = startNanos;
  }

  /** Starts on the way; takes the request over. */
  void start(InferenceRequest request) {
    InferenceRequest timed;
    try {
      timed = pipeline.withDeadline(request);
    } catch (RuntimeException e) {
      request.close();
      completeExceptionally(InferenceException.of(e));
      return;
    }
    if (pipeline.transformers().isEmpty()) {
      predict(timed);
    } else {
      preprocess(timed, 0, false, pipeline.now());
    }
  }

  private void preprocess(
      InferenceRequest request, int first, boolean mayWait, long stepsStartNanos) {
    List<Transformer> transformers = pipeline.transformers();
    InferenceRequest current = request;
    for (int i = first; i < transformers.size(); i++) {
      if (settled) {
        current.close();
        return;
      }
      Transformer transformer = transformers.get(i);
      if (transformer.mayBlock() && !mayWait) {
        InferenceRequest handedOver = current;
        int step = i;
        Thread.startVirtualThread(() -> preprocess(handedOver, step, true, stepsStartNanos));
        return;
      }
      try {
        current = transformer.preprocess(current);
      } catch (Throwable e) {
        current.close();
        completeExceptionally(failureOf(transformer, "preprocess", e));
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
    Reply submitted;
    try {
      submitted = pipeline.predict(id, request);
    } catch (Throwable e) {
      request.close();
      completeExceptionally(InferenceException.of(e));
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
    pipeline.logPredictions(id, request.parameters(), ordered, null);
    InferenceResponse response =
        new InferenceResponse(id, pipeline.id(), ordered, Parameters.empty());
    if (pipeline.transformers().isEmpty()) {
      succeed(response);
    } else {
      postprocess(request, response, pipeline.transformers().size() - 1, false, pipeline.now());
    }
  }

  /** The predictor's side failed. */
  private void fail(Throwable failure) {
    InferenceException error = InferenceException.of(failure);
    InferenceRequest request = prepared;
    pipeline.logPredictions(
        id, request == null ? Parameters.empty() : request.parameters(), TensorMap.empty(), error);
    completeExceptionally(error);
  }

  private void postprocess(
      InferenceRequest request,
      InferenceResponse response,
      int first,
      boolean mayWait,
      long stepsStartNanos) {
    List<Transformer> transformers = pipeline.transformers();
    InferenceResponse current = response;
    for (int i = first; i >= 0; i--) {
      if (settled) {
        current.close();
        return;
      }
      Transformer transformer = transformers.get(i);
      if (transformer.mayBlock() && !mayWait) {
        InferenceResponse handedOver = current;
        int step = i;
        Thread.startVirtualThread(
            () -> postprocess(request, handedOver, step, true, stepsStartNanos));
        return;
      }
      try {
        current = transformer.postprocess(request, current);
      } catch (Throwable e) {
        current.close();
        completeExceptionally(failureOf(transformer, "postprocess", e));
        return;
      }
    }
    pipeline.meters().postprocessed(pipeline.now() - stepsStartNanos);
    succeed(current);
  }

  private static InferenceException failureOf(Transformer step, String verb, Throwable cause) {
    InferenceException failure = InferenceException.of(cause);
    if (failure.code() == ErrorCode.INTERNAL) {
      LOG.error("transformer '{}' failed to {}", step.name(), verb, cause);
    }
    return new InferenceException(
        failure.code(),
        "transformer '%s' failed to %s: %s".formatted(step.name(), verb, failure.getMessage()),
        cause);
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

package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import io.opentelemetry.api.trace.Span;
import java.util.List;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * One request on its way through a {@link Pipeline} to a model that gives several responses, past
 * the batcher. What stands around the model sees each of them.
 *
 * <p>The steps before the model run on a virtual thread, those behind it where the responses come.
 * Whoever ends it first, the model or the subscriber, settles it: after that the lease and the
 * admission are given back, once.
 */
final class StreamedInference
    implements Flow.Publisher<InferenceResponse>, Flow.Subscription, Flow.Subscriber<TensorMap> {
  private final LoadedModel model;
  private final Pipeline pipeline;
  private final Admission admission;
  private final InferenceRequest request;
  private final long admittedBytes;
  private final String id;
  private final long startNanos;
  private final Trace trace;
  private final AtomicBoolean isSubscribed = new AtomicBoolean();
  private final AtomicBoolean isSettled = new AtomicBoolean();
  private final ReentrantLock lock = new ReentrantLock();

  // Under the lock.
  private Flow.@Nullable Subscription upstream;
  private long demand;

  private volatile Flow.@Nullable Subscriber<? super InferenceResponse> subscriber;

  /** What the model got; null before preprocessing has ended. */
  private volatile @Nullable InferenceRequest prepared;

  /** Of all that the model does. */
  private volatile Span span = Span.getInvalid();

  /**
   * A request that waits to be subscribed to.
   *
   * @param model leased, and given back by this
   * @param pipeline of the model
   * @param admission entered with the bytes of the inputs, and left by this
   * @param request taken over
   */
  StreamedInference(
      LoadedModel model,
      Pipeline pipeline,
      Admission admission,
      InferenceRequest request,
      String id,
      long startNanos,
      Trace trace) {
    this.model = model;
    this.pipeline = pipeline;
    this.admission = admission;
    this.request = request;
    this.admittedBytes = request.inputs().byteSize();
    this.id = id;
    this.startNanos = startNanos;
    this.trace = trace;
  }

  @Override
  public void subscribe(Flow.Subscriber<? super InferenceResponse> who) {
    if (isSubscribed.getAndSet(true)) {
      throw new IllegalStateException("a streamed inference is for one subscriber");
    }
    subscriber = who;
    who.onSubscribe(this);
    Thread.startVirtualThread(this::start);
  }

  private void start() {
    InferenceRequest current = request;
    try {
      current = pipeline.admit(current);
      long stepsStart = pipeline.now();
      for (ChainStep step : pipeline.steps()) {
        if (isSettled.get()) {
          current.close();
          return;
        }
        current = step.preprocess(current, trace);
      }
      if (!pipeline.steps().isEmpty()) {
        pipeline.meters().preprocessed(pipeline.now() - stepsStart);
      }
      prepared = current;
      span = pipeline.startSpan(trace);
      if (isSettled.get()) { // by a cancellation that may not have seen the span
        span.end();
      }
      Flow.Publisher<TensorMap> responses = pipeline.stream(id, current);
      responses.subscribe(this); // which takes the inputs over
    } catch (RuntimeException e) {
      current.close();
      fail(InferenceException.of(e));
    }
  }

  // ---- what the client does

  @Override
  public void request(long count) {
    lock.lock();
    try {
      if (upstream == null) {
        demand = demand + count < 0 ? Long.MAX_VALUE : demand + count;
      } else {
        upstream.request(count);
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void cancel() {
    if (settle(ErrorCode.CANCELLED)) {
      cancelUpstream();
    }
  }

  private void cancelUpstream() {
    lock.lock();
    try {
      if (upstream != null) {
        upstream.cancel();
      }
    } finally {
      lock.unlock();
    }
  }

  // ---- what the model does

  @Override
  public void onSubscribe(Flow.Subscription to) {
    lock.lock();
    try {
      upstream = to;
      if (isSettled.get()) {
        to.cancel();
      } else if (demand > 0) {
        to.request(demand);
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void onNext(TensorMap outputs) {
    Flow.Subscriber<? super InferenceResponse> to = subscriber;
    InferenceRequest asked = prepared;
    if (isSettled.get() || to == null || asked == null) {
      outputs.close();
      return;
    }
    InferenceResponse response =
        new InferenceResponse(id, pipeline.id(), outputs, Parameters.empty());
    try {
      response =
          response.withOutputs(Pipeline.inOrder(response.outputs(), asked.requestedOutputs()));
      pipeline.logPredictions(id, asked.parameters(), response.outputs(), null);
      response = postprocess(asked, response);
    } catch (RuntimeException e) {
      outputs.close();
      fail(InferenceException.of(e));
      cancelUpstream();
      return;
    }
    to.onNext(response);
  }

  /** What the client gets; takes the response over, unless it throws. */
  private InferenceResponse postprocess(InferenceRequest asked, InferenceResponse response) {
    List<ChainStep> steps = pipeline.steps();
    if (steps.isEmpty()) {
      return response;
    }
    InferenceResponse current = response;
    try {
      long stepsStart = pipeline.now();
      for (ChainStep step : steps.reversed()) {
        current = step.postprocess(asked, current, trace);
      }
      pipeline.meters().postprocessed(pipeline.now() - stepsStart);
      return pipeline.select(current, request.requestedOutputs());
    } catch (RuntimeException e) {
      current.close();
      throw e;
    }
  }

  @Override
  public void onError(Throwable failure) {
    InferenceException error = InferenceException.of(failure);
    InferenceRequest asked = prepared;
    if (asked != null) {
      pipeline.logPredictions(id, asked.parameters(), TensorMap.empty(), error);
    }
    fail(error);
  }

  @Override
  public void onComplete() {
    Flow.Subscriber<? super InferenceResponse> to = subscriber;
    if (settle(null) && to != null) {
      to.onComplete();
    }
  }

  private void fail(InferenceException error) {
    Trace.fail(span, error);
    Flow.Subscriber<? super InferenceResponse> to = subscriber;
    if (settle(error.code()) && to != null) {
      to.onError(error);
    }
  }

  private boolean settle(@Nullable ErrorCode error) {
    if (isSettled.getAndSet(true)) {
      return false;
    }
    span.end();
    pipeline.meters().answered(error, pipeline.now() - startNanos);
    admission.leave(admittedBytes);
    model.release();
    return true;
  }
}

package dev.millrace.runtime;

import dev.millrace.api.BufferPool;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.Transformer;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A model server without a network: what the front ends call, and what a Java program embeds.
 * Thread-safe.
 */
public final class ModelServer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(ModelServer.class);

  /** What is left for the loggers to send what they hold, if the requests took all the time. */
  private static final Duration LEAST_FLUSH = Duration.ofSeconds(1);

  private final RuntimeConfig config;
  private final Steps steps;
  private final Meters meters;
  private final Ticker ticker;
  private final Admission admission;
  private final ModelRegistry registry;
  private final String idPrefix = Integer.toHexString(new Random().nextInt()) + "-";
  private final AtomicLong ids = new AtomicLong();
  private final AtomicBoolean isClosed = new AtomicBoolean();
  private volatile boolean isDraining;

  private ModelServer(
      RuntimeConfig config,
      List<Backend> backends,
      Steps steps,
      MeterRegistry registry,
      Ticker ticker,
      FrontEnd frontEnd) {
    this.config = config;
    this.steps = steps;
    this.meters = new Meters(registry);
    this.ticker = ticker;
    this.admission = new Admission(config.maxInFlightRequests(), config.maxInFlightBytes());
    this.registry =
        new ModelRegistry(
            config,
            new ModelRepository(config.models(), backends),
            new ModelLoader(
                new Calibration(
                    config.processors(),
                    GpuHost::here,
                    new CalibrationCache(config.calibrationCache()),
                    MachineLoad::now,
                    ticker),
                new DeviceArbiters(config.processors()),
                steps,
                meters,
                ticker,
                frontEnd),
            meters,
            ticker);
    BufferPool pool = BufferPool.shared();
    meters.gauge(Metric.TENSOR_MEMORY_USED, pool, BufferPool::usedBytes);
    meters.gauge(Metric.TENSOR_MEMORY_RETAINED, pool, BufferPool::retainedBytes);
    meters.gauge(Metric.REQUESTS_IN_FLIGHT, admission, Admission::requests);
    meters.gauge(Metric.MEMORY_IN_FLIGHT, admission, Admission::bytes);
  }

  /** A server that has not loaded anything yet: see {@link ModelRegistry#loadAll}. */
  public static ModelServer create(
      RuntimeConfig config, List<Backend> backends, MeterRegistry meters) {
    return create(config, Plugins.of(backends), meters);
  }

  /** As above, with all that is installed. */
  public static ModelServer create(RuntimeConfig config, Plugins plugins, MeterRegistry meters) {
    return create(config, plugins, List.of(), List.of(), meters, Ticker.system(), FrontEnd.NONE);
  }

  /**
   * A server with steps around its models and loggers beside them, which it closes.
   *
   * @param transformers around every model, outside of those in its configuration; in the order of
   *     preprocessing, postprocessing goes the other way
   * @param ticker the one that the deadlines of requests are measured with
   * @param frontEnd who calls {@link #infer}
   */
  public static ModelServer create(
      RuntimeConfig config,
      Plugins plugins,
      List<Transformer> transformers,
      List<InferenceLogger> loggers,
      MeterRegistry meters,
      Ticker ticker,
      FrontEnd frontEnd) {
    Steps steps = Steps.of(transformers, plugins.transformers(), loggers, config.processors());
    return new ModelServer(config, plugins.backends(), steps, meters, ticker, frontEnd);
  }

  /** What is loaded. */
  public ModelRegistry models() {
    return registry;
  }

  /**
   * Takes a request through the pipeline of its model.
   *
   * <p>Always takes the request over, and throws nothing: every failure completes the future with
   * an {@link InferenceException}. Cancelling the future cancels the inference. A response has the
   * request's id, or one made up if that is empty.
   *
   * @return completes on a runner, a timer, a virtual thread, the caller's own or one that makes
   *     the instances of another signature; the response belongs to whoever receives it
   */
  public CompletableFuture<InferenceResponse> infer(InferenceRequest request) {
    return infer(request, Headers.NONE);
  }

  /**
   * As above, for a request that came with headers, which the model's transformers and loggers
   * shall see, and the model if it {@linkplain dev.millrace.api.spi.TensorModel#usesParameters
   * uses} them.
   *
   * @param headers read before this returns, if at all
   */
  public CompletableFuture<InferenceResponse> infer(InferenceRequest request, Headers headers) {
    Entered entered;
    try {
      entered = enter(request);
    } catch (InferenceException e) {
      request.close();
      return CompletableFuture.failedFuture(e);
    }
    Inference inference =
        new Inference(
            entered.model(),
            admission,
            request.inputs().byteSize(),
            entered.id(),
            entered.startNanos(),
            headers.trace());
    boolean wanted = entered.model().pipeline().wantsHeaders();
    inference.start(wanted ? headers.addTo(request) : request, entered.way());
    return inference;
  }

  /**
   * Takes a request through the pipeline of a model that gives several responses, each of which is
   * there as soon as the model has made it: see {@link ModelDescription#streams}. The batcher is
   * not on the way.
   *
   * <p>Always takes the request over. Work starts with the subscription, and is given up when that
   * is cancelled; until then the model is leased. Responses come on a thread that may be any, as
   * many as are requested, and belong to the subscriber.
   *
   * @param headers read before this returns, if at all
   * @return a publisher that has to be subscribed to, once
   * @throws InferenceException if the model is not there, or does not stream, or nothing more is
   *     let in
   */
  public Flow.Publisher<InferenceResponse> stream(InferenceRequest request, Headers headers) {
    Entered entered;
    try {
      entered = enter(request);
    } catch (InferenceException e) {
      request.close();
      throw e;
    }
    Pipeline pipeline = entered.model().pipeline();
    if (!pipeline.streams()) {
      admission.leave(request.inputs().byteSize());
      entered.model().release();
      request.close();
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "model '%s' gives one response to a request".formatted(request.model().name()));
    }
    return new StreamedInference(
        entered.model(),
        pipeline,
        admission,
        headers.addTo(request),
        entered.id(),
        entered.startNanos(),
        headers.trace());
  }

  /** A request that was let in, to be answered by a leased model. */
  private record Entered(
      LoadedModel model, CompletableFuture<Pipeline> way, String id, long startNanos) {}

  /**
   * Lets a request in, which stays the caller's.
   *
   * @throws InferenceException if it may not, or its model is not there
   */
  private Entered enter(InferenceRequest request) {
    long start = ticker.nanos();
    if (isClosed.get()) { // rather than that its models are gone
      throw InferenceException.unavailable("the server is shutting down");
    }
    LoadedModel model = registry.acquire(request.model());
    CompletableFuture<Pipeline> way;
    try {
      way = model.pipeline(request);
    } catch (RuntimeException e) {
      model.release();
      throw InferenceException.of(e);
    }
    Pipeline pipeline = model.pipeline(); // the others' meters and loggers are the same
    try {
      admission.enter(request.inputs().byteSize());
    } catch (InferenceException e) {
      pipeline.meters().shedByInFlightLimit();
      pipeline.meters().answered(e.code(), ticker.nanos() - start);
      model.release();
      throw e;
    }
    String id =
        request.id().isEmpty() ? idPrefix + Long.toHexString(ids.incrementAndGet()) : request.id();
    return new Entered(model, way, id, start);
  }

  /**
   * The request, addressed to another signature than the one that its model is called by: see
   * {@link ModelLease#signatures}. The inputs move to it.
   */
  public static InferenceRequest toSignature(InferenceRequest request, String signature) {
    return request.withAttribute(SignaturePipelines.SIGNATURE, signature);
  }

  /** What takes note of inferences; they stay the server's. */
  public List<InferenceLogger> loggers() {
    return steps.loggers();
  }

  /** Whether the process is able to answer at all; does not depend on any model. */
  public boolean isLive() {
    return !isClosed.get();
  }

  /** Whether all models asked for at the start serve, and the server is not about to stop. */
  public boolean isReady() {
    return !isDraining && !isClosed.get() && registry.isReady();
  }

  /**
   * Whether the requests in flight take so much of the memory that they may take that no more is to
   * be read from clients until some are answered.
   */
  public boolean isPressed() {
    return admission.isPressed();
  }

  /**
   * Takes bytes of the memory that requests in flight may take, for what does not go through {@link
   * #infer}, as a request that is relayed. Whoever took them {@linkplain #giveMemory gives} them
   * back, once. Any thread.
   *
   * @return whether there are as many; what is larger than the whole is let in when it is alone
   */
  public boolean takeMemory(long bytes) {
    return admission.take(bytes);
  }

  /** Gives back what was {@linkplain #takeMemory taken}. */
  public void giveMemory(long bytes) {
    admission.give(bytes);
  }

  /** Where the measurements go. */
  public MeterRegistry meters() {
    return meters.registry();
  }

  /** Requests that are taken over and not answered. */
  public int requestsInFlight() {
    return admission.requests();
  }

  /** Makes the server not ready, for load balancers to see; requests are still served. */
  public void startDraining() {
    isDraining = true;
  }

  /**
   * Refuses new requests, finishes the accepted ones, then unloads all models; blocks, on each of
   * the two at most for the configured drain time-out. What is left of it the loggers have to send
   * what they hold. A second call does nothing.
   */
  @Override
  public void close() {
    isDraining = true;
    if (!isClosed.compareAndSet(false, true)) {
      return;
    }
    long end = System.nanoTime() + config.drainTimeout().toNanos();
    admission.close();
    try {
      if (!admission.awaitDrained(config.drainTimeout())) {
        LOG.warn(
            "{} requests are still in flight after {} s",
            admission.requests(),
            config.drainTimeout().toSeconds());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    registry.close(config.drainTimeout());
    steps.close(Duration.ofNanos(Math.max(LEAST_FLUSH.toNanos(), end - System.nanoTime())));
  }
}

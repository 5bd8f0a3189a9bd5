package dev.millrace.runtime;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.Transformer;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * A model server without a network: what the front ends call, and what a Java program embeds.
 * Thread-safe.
 */
@SuppressWarnings({"DoNotCallSuggester", "DoNotCall"}) // bodies follow
public final class ModelServer implements AutoCloseable {
  private ModelServer() {}

  /** A server that has not loaded anything yet: see {@link ModelRegistry#loadAll}. */
  public static ModelServer create(
      RuntimeConfig config, List<Backend> backends, MeterRegistry meters) {
    return create(config, backends, List.of(), List.of(), meters, Ticker.system());
  }

  /**
   * A server with steps around its models and loggers beside them, which it closes.
   *
   * @param transformers in the order of preprocessing; postprocessing goes the other way
   * @param ticker the one that the deadlines of requests are measured with
   */
  public static ModelServer create(
      RuntimeConfig config,
      List<Backend> backends,
      List<Transformer> transformers,
      List<InferenceLogger> loggers,
      MeterRegistry meters,
      Ticker ticker) {
    throw new UnsupportedOperationException();
  }

  /** What is loaded. */
  public ModelRegistry models() {
    throw new UnsupportedOperationException();
  }

  /**
   * Takes a request through the pipeline of its model.
   *
   * <p>Always takes the request over, and throws nothing: every failure completes the future with
   * an {@link dev.millrace.api.InferenceException}. Cancelling the future cancels the inference.
   *
   * @return completes on a runner, a timer, a virtual thread or the caller's own; the response
   *     belongs to whoever receives it
   */
  public CompletableFuture<InferenceResponse> infer(InferenceRequest request) {
    throw new UnsupportedOperationException();
  }

  /** Whether the process is able to answer at all; does not depend on any model. */
  public boolean isLive() {
    throw new UnsupportedOperationException();
  }

  /** Whether all models asked for at the start serve, and the server is not about to stop. */
  public boolean isReady() {
    throw new UnsupportedOperationException();
  }

  /** Where the measurements go. */
  public MeterRegistry meters() {
    throw new UnsupportedOperationException();
  }

  /** Requests that are taken over and not answered. */
  public int requestsInFlight() {
    throw new UnsupportedOperationException();
  }

  /** Makes the server not ready, for load balancers to see; requests are still served. */
  public void startDraining() {
    throw new UnsupportedOperationException();
  }

  /**
   * Refuses new requests, finishes the accepted ones, then unloads all models; blocks. A second
   * call does nothing.
   */
  @Override
  public void close() {
    throw new UnsupportedOperationException();
  }
}

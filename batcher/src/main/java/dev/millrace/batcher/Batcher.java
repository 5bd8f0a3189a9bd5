package dev.millrace.batcher;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import java.util.List;

/** Merges requests into batches for the instances of one model. Thread-safe. */
public final class Batcher implements AutoCloseable {
  private final String name;

  private Batcher(String name) {
    this.name = name;
  }

  /**
   * Starts one runner, a platform thread, per predictor. The batcher takes the predictors over and
   * closes them when it has drained.
   */
  public static Batcher start(
      String name,
      BatcherConfig config,
      List<Predictor> predictors,
      BatchPolicy policy,
      BatchListener listener,
      Ticker ticker) {
    return new Batcher(name);
  }

  /**
   * Queues a request. When accepted, the inputs are the batcher's; when this throws, they stay the
   * caller's.
   *
   * @param requestedOutputs names of the outputs to compute; empty for all
   * @throws InferenceException RESOURCE_EXHAUSTED with a time to come back if the queue is full,
   *     DEADLINE_EXCEEDED if it is late already, UNAVAILABLE while closing, INVALID_ARGUMENT if the
   *     inputs do not agree in their first dimension
   */
  public Reply submit(TensorMap inputs, List<String> requestedOutputs, Deadline deadline) {
    Reply reply = new Reply();
    reply.completeExceptionally(
        InferenceException.unavailable("model '" + name + "' is not started"));
    return reply;
  }

  /** Requests that wait. */
  public int queuedRequests() {
    return 0;
  }

  /** Rows that wait. */
  public int queuedRows() {
    return 0;
  }

  /** Bytes of the inputs that wait. */
  public long queuedBytes() {
    return 0;
  }

  /** Batches that run. */
  public int runningBatches() {
    return 0;
  }

  /**
   * Stops accepting, finishes what was accepted, stops the runners and closes the predictors;
   * returns when all that is done. Not to be called on a runner, that is in a reply's callback.
   */
  @Override
  public void close() {}
}

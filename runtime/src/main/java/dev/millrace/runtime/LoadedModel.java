package dev.millrace.runtime;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Servable;
import dev.millrace.batcher.Batcher;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One version in memory, ready to run. Lives until it is retired and the last lease is given back;
 * then it is freed, on a thread of its own, because the last one out may be a runner of the batcher
 * that is to be closed. Thread-safe.
 */
final class LoadedModel {
  private static final Logger LOG = LoggerFactory.getLogger(LoadedModel.class);

  private final ModelMetadata metadata;
  private final ModelOptions options;
  private final Map<String, LabelFile> labels;
  private final Optional<TritonConfig> declared;
  private final List<ModelOnDevice> parts;
  private final Batcher batcher;
  private final Chain chain;
  private final Pipeline pipeline;
  private final CompletableFuture<Pipeline> ownPipeline;
  private final SignaturePipelines signatures;
  private final Runnable onFreed;
  private final long loadNanos;

  /** Leases, and one for not being retired. */
  private final AtomicInteger uses = new AtomicInteger(1);

  private final CompletableFuture<Void> freed = new CompletableFuture<>();

  /**
   * @param metadata what clients see of the model
   * @param options what was said about how it is served
   * @param labels names of classes, by output
   * @param declared what a {@code config.pbtxt} says of the model
   * @param parts the model on each of its devices; taken over
   * @param batcher over the predictors of all of them; taken over
   * @param chain what stands around the model; taken over
   * @param signatures other ways to call the model; taken over
   * @param onFreed is called once, after everything else is freed
   */
  LoadedModel(
      ModelMetadata metadata,
      ModelOptions options,
      Map<String, LabelFile> labels,
      Optional<TritonConfig> declared,
      List<ModelOnDevice> parts,
      Batcher batcher,
      Chain chain,
      Pipeline pipeline,
      SignaturePipelines signatures,
      Runnable onFreed,
      long loadNanos) {
    this.metadata = metadata;
    this.options = options;
    this.labels = labels;
    this.declared = declared;
    this.parts = List.copyOf(parts);
    this.batcher = batcher;
    this.chain = chain;
    this.pipeline = pipeline;
    this.ownPipeline = CompletableFuture.completedFuture(pipeline);
    this.signatures = signatures;
    this.onFreed = onFreed;
    this.loadNanos = loadNanos;
  }

  ModelId id() {
    return metadata.id();
  }

  /** What clients see of the model. */
  ModelMetadata metadata() {
    return metadata;
  }

  ModelOptions options() {
    return options;
  }

  Map<String, LabelFile> labels() {
    return labels;
  }

  Optional<TritonConfig> declared() {
    return declared;
  }

  /** Where it runs. */
  List<Placement> placements() {
    return parts.stream().map(ModelOnDevice::placement).toList();
  }

  /** The model on that device; empty if it does not run there. */
  Optional<ModelOnDevice> on(Device device) {
    return parts.stream().filter(part -> part.placement().device().equals(device)).findFirst();
  }

  /** How many predictors run at the same time. */
  int instances() {
    return parts.stream().mapToInt(part -> part.placement().instances()).sum();
  }

  /** What the backend loaded. */
  Servable servable() {
    Servable model = parts.getFirst().servable();
    return model instanceof NoTensors other ? other.servable() : model;
  }

  Batcher batcher() {
    return batcher;
  }

  Pipeline pipeline() {
    return pipeline;
  }

  SignaturePipelines signatures() {
    return signatures;
  }

  /**
   * The pipeline that a request asks for.
   *
   * @return complete, unless it is the first request for another signature than the model's own
   * @throws InferenceException NOT_FOUND if it asks for a signature that is not there
   */
  CompletableFuture<Pipeline> pipeline(InferenceRequest request) {
    String signature = request.attribute(SignaturePipelines.SIGNATURE).orElse("");
    return signature.isEmpty() ? ownPipeline : signatures.pipeline(signature);
  }

  long loadNanos() {
    return loadNanos;
  }

  /** What the version has done, before it was loaded this time too. */
  ModelStatistics statistics() {
    return pipeline.meters().statistics().snapshot(id());
  }

  /** Leases that are not given back. */
  int leases() {
    return Math.max(0, uses.get() - 1);
  }

  /** Takes a lease, which {@link #release} gives back; false if it was retired and is freed. */
  boolean acquire() {
    int current;
    do {
      current = uses.get();
      if (current == 0) {
        return false;
      }
    } while (!uses.compareAndSet(current, current + 1));
    return true;
  }

  void release() {
    int left = uses.decrementAndGet();
    if (left == 0) {
      Thread.ofPlatform().name(id() + "-unload").start(this::free);
    } else if (left < 0) {
      throw new IllegalStateException("a lease of " + id() + " was given back twice");
    }
  }

  /**
   * Frees the model once the last lease is given back. Called once, after nobody can find the model
   * to take a new one.
   *
   * @return completes when the memory is freed
   */
  CompletableFuture<Void> retire() {
    release();
    return freed;
  }

  private void free() {
    try {
      batcher.close();
      parts.forEach(part -> part.share().close());
      signatures.close();
      if (batcher.hungRuns() == 0 && signatures.hungRuns() == 0) {
        parts.forEach(part -> part.servable().close());
      } else { // closing it under a run would end the process
        LOG.error("{}: a run has not come back, so the model stays in memory", id());
      }
      chain.close();
      onFreed.run();
      freed.complete(null);
    } catch (Throwable e) {
      LOG.error("{}: freeing the model failed", id(), e);
      freed.completeExceptionally(
          new InferenceException(
              ErrorCode.INTERNAL, "freeing %s failed: %s".formatted(id(), e), e));
    }
  }
}

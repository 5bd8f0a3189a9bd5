package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Servable;
import dev.millrace.batcher.Batcher;
import dev.millrace.batcher.DeviceArbiter;
import java.util.Map;
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
  private final Placement placement;
  private final Servable servable;
  private final Batcher batcher;
  private final DeviceArbiter.Share device;
  private final Chain chain;
  private final Pipeline pipeline;
  private final Runnable onFreed;
  private final long loadNanos;

  /** Leases, and one for not being retired. */
  private final AtomicInteger uses = new AtomicInteger(1);

  private final CompletableFuture<Void> freed = new CompletableFuture<>();

  /**
   * @param metadata what clients see of the model
   * @param options what was said about how it is served
   * @param labels names of classes, by output
   * @param servable taken over
   * @param batcher over the servable's predictors; taken over
   * @param device what the batcher uses; taken over
   * @param chain what stands around the model; taken over
   * @param onFreed is called once, after everything else is freed
   */
  LoadedModel(
      ModelMetadata metadata,
      ModelOptions options,
      Map<String, LabelFile> labels,
      Placement placement,
      Servable servable,
      Batcher batcher,
      DeviceArbiter.Share device,
      Chain chain,
      Pipeline pipeline,
      Runnable onFreed,
      long loadNanos) {
    this.metadata = metadata;
    this.options = options;
    this.labels = labels;
    this.placement = placement;
    this.servable = servable;
    this.batcher = batcher;
    this.device = device;
    this.chain = chain;
    this.pipeline = pipeline;
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

  Placement placement() {
    return placement;
  }

  /** What the backend loaded. */
  Servable servable() {
    return servable instanceof NoTensors other ? other.servable() : servable;
  }

  Batcher batcher() {
    return batcher;
  }

  DeviceArbiter.Share device() {
    return device;
  }

  Pipeline pipeline() {
    return pipeline;
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
      device.close();
      if (batcher.hungRuns() == 0) {
        servable.close();
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

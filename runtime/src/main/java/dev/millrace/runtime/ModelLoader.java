package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.Servable;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.api.spi.TextGenerator;
import dev.millrace.batcher.Batcher;
import dev.millrace.batcher.BatcherConfig;
import dev.millrace.batcher.policy.GreedyPolicy;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Turns a {@link LoadPlan} into a {@link LoadedModel}. Thread-safe. */
final class ModelLoader {
  private final int processors;
  private final Steps steps;
  private final Meters meters;
  private final Ticker ticker;

  ModelLoader(int processors, Steps steps, Meters meters, Ticker ticker) {
    this.processors = processors;
    this.steps = steps;
    this.meters = meters;
    this.ticker = ticker;
  }

  /**
   * Loads and warms up; blocks. The runner threads inherit this thread's context class loader,
   * which is the backend's meanwhile.
   *
   * @return a model without leases, which the caller retires
   * @throws InferenceException for everything that can go wrong; nothing is left behind
   */
  LoadedModel load(LoadPlan plan) {
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    thread.setContextClassLoader(plan.backend().getClass().getClassLoader());
    try {
      return loadInContext(plan);
    } catch (RuntimeException e) {
      throw InferenceException.of(e);
    } catch (Error e) { // a native library that does not load, a model that does not fit
      throw new InferenceException(
          ErrorCode.INTERNAL, "backend '%s' failed: %s".formatted(plan.backend().name(), e), e);
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  private LoadedModel loadInContext(LoadPlan plan) {
    long start = ticker.nanos();
    Placement placement = Placement.choose(plan.backend(), plan.options(), processors);
    Servable servable =
        plan.backend()
            .load(
                new ModelSource(
                    plan.id(),
                    plan.path(),
                    placement.device(),
                    placement.instances(),
                    placement.threads(),
                    plan.engine()));
    List<Predictor> predictors = new ArrayList<>();
    try {
      TensorModel model =
          switch (servable) {
            case TensorModel tensorModel -> tensorModel;
            case TextGenerator generator ->
                throw new InferenceException(
                    ErrorCode.UNIMPLEMENTED,
                    "text generators are not served by this version: " + plan.path());
          };
      ModelMetadata metadata = metadata(model.metadata(), plan, placement);
      for (int i = 0; i < placement.instances(); i++) {
        predictors.add(model.newPredictor());
      }
      if (plan.options().warmUp().orElse(true)) {
        WarmUp.run(metadata, predictors, ticker);
      }
      return start(plan, placement, servable, metadata, predictors, start);
    } catch (Throwable e) {
      predictors.forEach(Predictor::close);
      servable.close();
      throw e;
    }
  }

  private LoadedModel start(
      LoadPlan plan,
      Placement placement,
      Servable servable,
      ModelMetadata metadata,
      List<Predictor> predictors,
      long startNanos) {
    ModelOptions options = plan.options();
    ModelId id = plan.id();
    BatcherConfig batching =
        new BatcherConfig(
            metadata.maxBatchSize(),
            options.queueLimit().orElse(ModelOptions.DEFAULT_QUEUE_LIMIT),
            Math.max(1, options.queueBytes().orElse(ModelOptions.DEFAULT_QUEUE_BYTES)));
    ModelMeters modelMeters = meters.acquire(id);
    Batcher batcher;
    try {
      batcher =
          Batcher.start(
              id.toString(),
              batching,
              predictors,
              new GreedyPolicy(predictors.size()),
              modelMeters,
              ticker);
    } catch (Throwable e) {
      meters.release(id);
      throw e;
    }
    Pipeline pipeline =
        new Pipeline(metadata, options.timeout(), steps, batcher, modelMeters, ticker);
    return new LoadedModel(
        metadata,
        placement,
        servable,
        batcher,
        pipeline,
        () -> meters.release(id),
        ticker.nanos() - startNanos);
  }

  /** What the model declares, with what the configuration says about it. */
  private static ModelMetadata metadata(
      ModelMetadata declared, LoadPlan plan, Placement placement) {
    ModelMetadata metadata =
        declared
            .withMaxBatchSize(maxBatchSize(declared.maxBatchSize(), plan.options()))
            .withProperty("device", placement.device().toString());
    for (Map.Entry<String, String> property : plan.properties().entrySet()) {
      metadata = metadata.withProperty(property.getKey(), property.getValue());
    }
    return metadata;
  }

  /**
   * Most rows at once: what the configuration says, also for a model that does not look batchable;
   * else what the model declares, where {@link Integer#MAX_VALUE} stands for no bound.
   */
  static int maxBatchSize(int declared, ModelOptions options) {
    return options
        .maxBatchSize()
        .orElse(declared == Integer.MAX_VALUE ? ModelOptions.DEFAULT_MAX_BATCH_SIZE : declared);
  }
}

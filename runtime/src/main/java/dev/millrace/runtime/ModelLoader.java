package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.Predictor;
import dev.millrace.batcher.Batcher;
import dev.millrace.batcher.BatcherConfig;
import dev.millrace.batcher.DeviceArbiter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Turns a {@link LoadPlan} into a {@link LoadedModel}. Thread-safe. */
final class ModelLoader {
  private static final Logger LOG = LoggerFactory.getLogger(ModelLoader.class);

  private final Steps steps;
  private final Meters meters;
  private final Ticker ticker;
  private final Calibration calibration;
  private final DeviceArbiters devices;

  ModelLoader(
      Calibration calibration, DeviceArbiters devices, Steps steps, Meters meters, Ticker ticker) {
    this.steps = steps;
    this.meters = meters;
    this.ticker = ticker;
    this.calibration = calibration;
    this.devices = devices;
  }

  /**
   * Loads and makes ready; blocks. The runner threads inherit this thread's context class loader,
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
    Map<String, LabelFile> labels = plan.labels();
    // First, because what is wrong with them is found out at once.
    Chain chain = Chain.of(plan, steps.transformers(), steps.factories());
    try {
      Calibration.Ready ready = calibration.load(plan);
      try {
        return start(plan, ready, metadata(plan, ready), chain, labels, start);
      } catch (Throwable e) {
        ready.instances().close();
        throw e;
      }
    } catch (Throwable e) {
      chain.close();
      throw e;
    }
  }

  private static void requireOutputs(ModelMetadata metadata, Set<String> labelled) {
    for (String output : labelled) {
      if (!metadata.outputs().isEmpty() && metadata.output(output).isEmpty()) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "the model has no output '%s', which labels are given for".formatted(output));
      }
    }
  }

  private LoadedModel start(
      LoadPlan plan,
      Calibration.Ready ready,
      ModelMetadata metadata,
      Chain chain,
      Map<String, LabelFile> labels,
      long startNanos) {
    ModelMetadata outer = chain.describe(metadata);
    requireOutputs(outer, labels.keySet());
    ModelOptions options = plan.options();
    ModelId id = plan.id();
    int maxBatchSize = metadata.maxBatchSize();
    BatcherConfig batching =
        new BatcherConfig(
            maxBatchSize,
            options.queueLimit().orElse(ModelOptions.DEFAULT_QUEUE_LIMIT),
            Math.max(1, options.queueBytes().orElse(ModelOptions.DEFAULT_QUEUE_BYTES)),
            options.batching().sizesUpTo(maxBatchSize),
            maxBatchSize == 0 ? null : options.batching().padding().orElse(null));
    List<InferenceLogger> loggers = loggers(id, options);
    List<Predictor> predictors = ready.instances().predictors();
    Placement placement = ready.instances().placement();
    ModelMeters modelMeters = meters.acquire(id);
    DeviceArbiter.Share device =
        devices.join(placement, options.batching().deviceShare().orElse(1));
    Batcher batcher;
    try {
      batcher =
          Batcher.of(
                  id.toString(),
                  batching,
                  BatchPolicies.of(
                      options.batching(),
                      maxBatchSize,
                      placement.device(),
                      predictors.size(),
                      ready.samples()))
              .listener(modelMeters)
              .ticker(ticker)
              .device(device)
              .spares(ready.instances().model()::newPredictor)
              .start(predictors);
    } catch (Throwable e) {
      device.close();
      meters.release(id);
      throw e;
    }
    Pipeline pipeline =
        new Pipeline(
            outer,
            metadata,
            options.timeout(),
            chain,
            steps,
            loggers,
            batcher,
            modelMeters,
            ticker);
    return new LoadedModel(
        outer,
        options,
        labels,
        plan.declared(),
        placement,
        ready.instances().model(),
        batcher,
        device,
        chain,
        pipeline,
        () -> meters.release(id),
        ticker.nanos() - startNanos);
  }

  /** What takes note of this model's inferences, by its section of the configuration. */
  private List<InferenceLogger> loggers(ModelId id, ModelOptions options) {
    if (steps.loggers().isEmpty() && !options.logger().isEmpty()) {
      LOG.warn("{}: section 'logger' is ignored, as the server has no inference logger", id);
    }
    List<InferenceLogger> loggers = new ArrayList<>();
    for (InferenceLogger logger : steps.loggers()) {
      Settings section =
          Settings.of("configuration of " + id, Map.of("logger", options.logger()))
              .section("logger");
      loggers.add(logger.forModel(id, section));
    }
    return List.copyOf(loggers);
  }

  /** What the model declares, with what the configuration says about it and what was found out. */
  private static ModelMetadata metadata(LoadPlan plan, Calibration.Ready ready) {
    ModelMetadata declared = ready.instances().model().metadata();
    int maxBatchSize = maxBatchSize(declared.maxBatchSize(), plan.options());
    ModelMetadata metadata =
        declared
            .withMaxBatchSize(ready.merge() ? maxBatchSize : 0)
            .withProperty("device", ready.instances().placement().device().toString());
    for (Map.Entry<String, String> property : ready.properties().entrySet()) {
      metadata = metadata.withProperty(property.getKey(), property.getValue());
    }
    for (Map.Entry<String, String> property : plan.properties().entrySet()) {
      metadata = metadata.withProperty(property.getKey(), property.getValue());
    }
    return metadata;
  }

  /**
   * Most rows at once: what the configuration says, also for a model that does not look batchable;
   * else what the model declares, where {@link Integer#MAX_VALUE} stands for no bound. 0, not to
   * merge, where batching is off.
   */
  static int maxBatchSize(int declared, ModelOptions options) {
    if (options.batching().mode().equals(Optional.of(BatchingOptions.Mode.OFF))) {
      return 0;
    }
    return options
        .maxBatchSize()
        .orElse(declared == Integer.MAX_VALUE ? ModelOptions.DEFAULT_MAX_BATCH_SIZE : declared);
  }
}

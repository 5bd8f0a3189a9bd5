package dev.millrace.runtime;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.batcher.Batcher;
import dev.millrace.batcher.BatcherConfig;
import dev.millrace.batcher.DeviceArbiter;
import dev.millrace.batcher.RunnerGroup;
import dev.millrace.batcher.policy.LatencySample;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
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
  private final FrontEnd frontEnd;

  ModelLoader(
      Calibration calibration,
      DeviceArbiters devices,
      Steps steps,
      Meters meters,
      Ticker ticker,
      FrontEnd frontEnd) {
    this.steps = steps;
    this.meters = meters;
    this.ticker = ticker;
    this.calibration = calibration;
    this.devices = devices;
    this.frontEnd = frontEnd;
  }

  /**
   * Loads and makes ready; blocks. The runner threads inherit this thread's context class loader,
   * which is the backend's meanwhile.
   *
   * @return a model without leases, which the caller retires
   * @throws InferenceException for everything that can go wrong; nothing is left behind
   */
  LoadedModel load(LoadPlan plan) {
    try {
      return inContext(plan.backend(), () -> loadInContext(plan));
    } catch (RuntimeException e) {
      throw InferenceException.of(e);
    } catch (Error e) { // a native library that does not load, a model that does not fit
      throw new InferenceException(
          ErrorCode.INTERNAL, "backend '%s' failed: %s".formatted(plan.backend().name(), e), e);
    }
  }

  /** Runs with the backend's class loader as the thread's, which new threads inherit. */
  private static <T> T inContext(Backend backend, Supplier<T> task) {
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    thread.setContextClassLoader(backend.getClass().getClassLoader());
    try {
      return task.get();
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
        ready.close();
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
    List<InferenceLogger> loggers = loggers(id, options);
    ModelMeters modelMeters = meters.acquire(id);
    SignaturePipelines.Way own;
    try {
      List<Source> sources = new ArrayList<>();
      for (Instances instances : ready.instances()) {
        sources.add(new Source(instances.placement(), instances.model(), instances.predictors()));
      }
      own =
          new Ways(plan, loggers, modelMeters)
              .make(id.toString(), outer, metadata, chain, ready.samples(), sources);
    } catch (Throwable e) {
      meters.release(id);
      throw e;
    }
    return new LoadedModel(
        outer,
        options,
        labels,
        plan.declared(),
        own.parts(),
        own.batcher(),
        chain,
        own.pipeline(),
        signatures(ready, outer, new Ways(plan, loggers, modelMeters)),
        () -> meters.release(id),
        ticker.nanos() - startNanos);
  }

  /** A model on one device, and predictors of it. */
  private record Source(Placement placement, TensorModel model, List<Predictor> predictors) {}

  /** Makes ways through one loaded version: a batcher and a pipeline each. */
  private final class Ways {
    private final LoadPlan plan;
    private final List<InferenceLogger> loggers;
    private final ModelMeters modelMeters;

    Ways(LoadPlan plan, List<InferenceLogger> loggers, ModelMeters modelMeters) {
      this.plan = plan;
      this.loggers = loggers;
      this.modelMeters = modelMeters;
    }

    /**
     * Makes one.
     *
     * @param name of its threads
     * @param outer what clients see
     * @param metadata what the predictors take and give
     * @param samples how long batches take, as far as that is known
     * @param sources whose predictors are taken over, unless this throws
     */
    SignaturePipelines.Way make(
        String name,
        ModelMetadata outer,
        ModelMetadata metadata,
        Chain chain,
        List<LatencySample> samples,
        List<Source> sources) {
      ModelOptions options = plan.options();
      int maxBatchSize = metadata.maxBatchSize();
      PriorityLevels priorities = options.batching().priorities().orElse(PriorityLevels.ANY);
      TensorModel served = sources.getFirst().model();
      if (served.usesParameters() && maxBatchSize > 0) {
        LOG.warn(
            "{}: the model asks for headers or parameters of requests, and gets none, because requests are merged (max-batch-size)",
            metadata.id());
      }
      BatcherConfig batching =
          new BatcherConfig(
              maxBatchSize,
              options.queueLimit().orElse(ModelOptions.DEFAULT_QUEUE_LIMIT),
              Math.max(1, options.queueBytes().orElse(ModelOptions.DEFAULT_QUEUE_BYTES)),
              options.batching().sizesUpTo(maxBatchSize),
              maxBatchSize == 0 ? null : options.batching().padding().orElse(null),
              priorities.limits());
      List<ModelOnDevice> parts = new ArrayList<>();
      Batcher batcher;
      try {
        List<RunnerGroup> groups = new ArrayList<>();
        for (Source source : sources) {
          DeviceArbiter.Share share =
              devices.join(source.placement(), options.batching().deviceShare().orElse(1));
          parts.add(new ModelOnDevice(source.placement(), source.model(), share));
          groups.add(
              new RunnerGroup(
                  source.predictors(),
                  share,
                  source.model()::newPredictor,
                  modelMeters.on(source.placement().device())));
        }
        batcher =
            Batcher.of(
                    name,
                    batching,
                    BatchPolicies.of(
                        options.batching(),
                        maxBatchSize,
                        sources.stream().map(Source::placement).toList(),
                        samples))
                .listener(modelMeters)
                .ticker(ticker)
                .wakeUps(frontEnd::afterReading)
                .startGroups(groups);
      } catch (Throwable e) {
        parts.forEach(part -> part.share().close());
        throw e;
      }
      Pipeline pipeline =
          new Pipeline(
              outer,
              metadata,
              options.timeout(),
              priorities,
              chain,
              steps,
              loggers,
              batcher,
              served,
              modelMeters,
              frontEnd,
              ticker);
      return new SignaturePipelines.Way(pipeline, batcher, List.copyOf(parts));
    }

    /** Most rows at once of another signature than the model's own. */
    int maxBatchSize(ModelMetadata declared, boolean merge) {
      return merge && declared.isBatchable()
          ? ModelLoader.maxBatchSize(declared.maxBatchSize(), plan.options())
          : 0;
    }
  }

  /**
   * The ways through the model by its other signatures, where it knows several. Requests of these
   * are merged if those of its own are.
   */
  private static SignaturePipelines signatures(
      Calibration.Ready ready, ModelMetadata outer, Ways ways) {
    Map<String, TensorModel> models = ready.first().model().signatures();
    String own = outer.properties().getOrDefault("signature", "");
    Map<String, ModelMetadata> metadata = new LinkedHashMap<>();
    models.forEach((name, model) -> {
      ModelMetadata declared = model.metadata();
      if (name.equals(own)) { // as clients see it, with the names that the graph has for it
        ModelMetadata described = outer;
        for (Map.Entry<String, String> property : declared.properties().entrySet()) {
          described = described.withProperty(property.getKey(), property.getValue());
        }
        metadata.put(name, described);
      } else {
        metadata.put(name, declared.withMaxBatchSize(ways.maxBatchSize(declared, ready.merge())));
      }
    });
    return new SignaturePipelines(
        metadata,
        name -> {
          ModelMetadata called = requireNonNull(metadata.get(name));
          List<Source> sources = new ArrayList<>();
          try {
            for (Instances instances : ready.instances()) {
              TensorModel model = requireNonNull(instances.model().signatures().get(name));
              List<Predictor> predictors = new ArrayList<>();
              sources.add(new Source(instances.placement(), model, predictors));
              for (int i = 0; i < instances.placement().instances(); i++) {
                predictors.add(model.newPredictor());
              }
            }
            return inContext(
                ways.plan.backend(),
                () ->
                    ways.make(
                        called.id() + "-" + name,
                        called,
                        called,
                        Chain.none(),
                        List.of(),
                        sources));
          } catch (Throwable e) {
            sources.forEach(source -> source.predictors().forEach(Predictor::close));
            throw e;
          }
        });
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
    ModelMetadata declared = ready.first().model().metadata();
    int maxBatchSize = maxBatchSize(declared.maxBatchSize(), plan.options());
    ModelMetadata metadata =
        declared
            .withMaxBatchSize(ready.merge() ? maxBatchSize : 0)
            .withProperty("device", Placement.devices(ready.placements()));
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

package dev.millrace.runtime;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.ModelId;
import dev.millrace.batcher.BatchListener;
import dev.millrace.batcher.BatchTimes;
import dev.millrace.batcher.ShedReason;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.LearnedState;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.Timer;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * The meters of one model version, registered before its first request, so that measuring looks
 * nothing up. Stays the same over reloads of the version; {@link #show} says which loaded one the
 * gauges look at. Thread-safe.
 */
final class ModelMeters implements BatchListener {
  private final ModelId id;
  private final Meters meters;
  private final List<Meter> registered = new ArrayList<>();
  private final Counter ok;
  private final Map<ErrorCode, Counter> failed = new EnumMap<>(ErrorCode.class);
  private final Map<ShedReason, Counter> shed = new EnumMap<>(ShedReason.class);
  private final Map<DispatchReason, Counter> dispatched = new EnumMap<>(DispatchReason.class);
  private final Counter padRows;
  private final Counter inFlightLimit;
  private final Timer duration;
  private final Timer queue;
  private final Map<Device, LongConsumer> compute = new HashMap<>();
  private final DistributionSummary batchSize;
  private final Counter rows;
  private final Counter batches;
  private final Counter batchesFailed;
  private final Timer preprocess;
  private final Timer predict;
  private final Timer postprocess;
  private final StatisticsLedger statistics;
  private volatile @Nullable LoadedModel shown;
  private volatile double loadSeconds;

  ModelMeters(ModelId id, Meters meters, StatisticsLedger statistics) {
    this.id = id;
    this.meters = meters;
    this.statistics = statistics;
    String name = id.name();
    String version = id.version();
    ok = counter(meters, Metric.REQUESTS, name, version, "ok");
    for (ErrorCode code : ErrorCode.values()) {
      failed.put(code, counter(meters, Metric.REQUESTS, name, version, label(code)));
    }
    for (ShedReason reason : ShedReason.values()) {
      shed.put(reason, counter(meters, Metric.SHEDS, name, version, label(reason)));
    }
    for (DispatchReason reason : DispatchReason.values()) {
      dispatched.put(reason, counter(meters, Metric.DISPATCHES, name, version, label(reason)));
    }
    padRows = counter(meters, Metric.PAD_ROWS, name, version);
    inFlightLimit = counter(meters, Metric.SHEDS, name, version, "in_flight_limit");
    duration = keep(meters.timer(Metric.REQUEST_DURATION, name, version));
    queue = keep(meters.timer(Metric.QUEUE_DURATION, name, version));
    batchSize = keep(meters.summary(Metric.BATCH_SIZE, name, version));
    rows = counter(meters, Metric.ROWS, name, version);
    batches = counter(meters, Metric.BATCHES, name, version);
    batchesFailed = counter(meters, Metric.BATCHES_FAILED, name, version);
    gauge(meters, Metric.QUEUED_REQUESTS, id, model -> model.batcher().queuedRequests());
    gauge(meters, Metric.QUEUED_BYTES, id, model -> model.batcher().queuedBytes());
    gauge(meters, Metric.BATCHES_RUNNING, id, model -> model.batcher().runningBatches());
    gauge(meters, Metric.RUNS_HUNG, id, model -> model.batcher().hungRuns());
    gauge(meters, Metric.ROW_DURATION, id, model -> model.batcher().forecast().nanosPerRow() / 1e9);
    gauge(meters, Metric.CONCURRENCY, id, ModelMeters::concurrency);
    gauge(
        meters,
        Metric.QUEUE_STANDING,
        id,
        model -> model.batcher().learned().filter(LearnedState::standing).isPresent() ? 1 : 0);
    gauge(meters, Metric.MODEL_REQUESTS_IN_FLIGHT, id, LoadedModel::leases);
    keep(meters.gauge(Metric.MODEL_LOAD_DURATION, this, these -> these.loadSeconds, name, version));
    // Without a version, so they outlive this one.
    preprocess = meters.timer(Metric.KSERVE_PREPROCESS, name);
    predict = meters.timer(Metric.KSERVE_PREDICT, name);
    postprocess = meters.timer(Metric.KSERVE_POSTPROCESS, name);
  }

  private static int concurrency(LoadedModel model) {
    int instances = model.instances();
    return model
        .batcher()
        .learned()
        .map(state -> Math.min(instances, state.concurrency()))
        .orElse(instances);
  }

  private static String label(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }

  private Counter counter(Meters meters, Metric metric, String... tagValues) {
    return keep(meters.counter(metric, tagValues));
  }

  private void gauge(
      Meters meters,
      Metric metric,
      ModelId id,
      ToDoubleFunction<LoadedModel> value,
      String... moreTagValues) {
    List<String> tagValues = new ArrayList<>(List.of(id.name(), id.version()));
    tagValues.addAll(List.of(moreTagValues));
    keep(
        meters.gauge(
            metric,
            this,
            these -> {
              LoadedModel model = these.shown;
              return model == null ? 0 : value.applyAsDouble(model);
            },
            tagValues.toArray(String[]::new)));
  }

  private synchronized <M extends Meter> M keep(M meter) {
    registered.add(meter);
    return meter;
  }

  /** The meters that go away with the version. */
  synchronized List<Meter> registered() {
    return List.copyOf(registered);
  }

  /**
   * The time of one half of a step; the same over reloads.
   *
   * @param verb which half
   */
  Timer step(String name, String verb) {
    return keep(meters.timer(Metric.TRANSFORMER_DURATION, id.name(), id.version(), name, verb));
  }

  /**
   * What hears how long runs on a device took, in nanoseconds; the same over reloads. The device
   * has its meters from now on.
   */
  synchronized LongConsumer on(Device device) {
    return compute.computeIfAbsent(device, this::newMeters);
  }

  private LongConsumer newMeters(Device device) {
    String name = device.toString();
    gauge(
        meters,
        Metric.DEVICE_DURATION,
        id,
        model -> model.on(device).map(part -> part.share().usedNanos() / 1e9).orElse(0.0),
        name);
    gauge(
        meters,
        Metric.INSTANCES,
        id,
        model -> model.on(device).map(part -> part.placement().instances()).orElse(0),
        name);
    Timer timer = keep(meters.timer(Metric.COMPUTE_DURATION, id.name(), id.version(), name));
    return nanos -> timer.record(nanos, TimeUnit.NANOSECONDS);
  }

  /** Where the version's statistics are kept, which outlive these meters. */
  StatisticsLedger statistics() {
    return statistics;
  }

  /** From now on the gauges show {@code model}. */
  void show(LoadedModel model) {
    shown = model;
    loadSeconds = model.loadNanos() / 1e9;
  }

  /** The gauges no longer show {@code model}, if they did. */
  void hide(LoadedModel model) {
    if (shown == model) {
      shown = null;
    }
  }

  /** A request was answered; {@code error} is null if it succeeded. */
  void answered(@Nullable ErrorCode error, long nanos) {
    Counter outcome = error == null ? ok : failed.get(error);
    requireNonNull(outcome).increment();
    duration.record(nanos, TimeUnit.NANOSECONDS);
    statistics.answered(error == null, nanos);
  }

  void shedByInFlightLimit() {
    inFlightLimit.increment();
  }

  void preprocessed(long nanos) {
    preprocess.record(nanos, TimeUnit.NANOSECONDS);
  }

  void predicted(long nanos) {
    predict.record(nanos, TimeUnit.NANOSECONDS);
  }

  void postprocessed(long nanos) {
    postprocess.record(nanos, TimeUnit.NANOSECONDS);
  }

  @Override
  public void requestStarted(long queueNanos) {
    queue.record(queueNanos, TimeUnit.NANOSECONDS);
  }

  @Override
  public void batchStarted(DispatchReason reason, int requests, int batchRows, int batchPadRows) {
    requireNonNull(dispatched.get(reason)).increment();
    if (batchPadRows > 0) {
      padRows.increment(batchPadRows);
    }
  }

  @Override
  public void batchCompleted(int requests, int batchRows, long computeNanos) {
    batchSize.record(batchRows);
    rows.increment(batchRows);
    batches.increment();
  }

  @Override
  public void batchFinished(BatchTimes times) {
    statistics.finished(times);
  }

  @Override
  public void batchFailed(int requests, int batchRows) {
    batchesFailed.increment();
  }

  @Override
  public void requestShed(ShedReason reason) {
    requireNonNull(shed.get(reason)).increment();
  }
}

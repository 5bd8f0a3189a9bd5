package dev.millrace.runtime;

import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.policy.LatencySample;
import dev.millrace.runtime.PlacementSearch.Speeds;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gets a model that was loaded ready to serve: warms it up, finds out whether its requests may be
 * merged, measures how long batches take, and chooses how many instances of how many threads it
 * runs in, where that is open.
 *
 * <p>Threads of a run are fixed when a model loads, so to try another number is to load it again.
 * That is done while it fits the time and the files are small, and never are more than two copies
 * in memory. Measuring is one model's at a time, because two would measure each other.
 *
 * <p>A model that loads meanwhile takes processors from what is measured: on two of them a model of
 * 0.1 ms looked twice as fast with two threads as in two instances, which is wrong. So measuring
 * first waits for the loads that go on, warm-up and verification included, for as long as it may
 * itself take.
 *
 * <p>Other processes cannot be waited for. If they took so much of the machine that this one was
 * displaced, what was measured is used, being all there is, but not kept: the next load measures
 * again.
 *
 * <p>The time bounds everything but the warm-up, which has a limit of its own, and the least that
 * tells whether requests may be merged; a run that has begun is waited for. Thread-safe.
 */
final class Calibration {
  private static final Logger LOG = LoggerFactory.getLogger(Calibration.class);

  /** Largest model files that are loaded again to try another number of threads. */
  private static final long MAX_RELOADED_BYTES = 256 << 20;

  /** How often fewer instances than there could be are measured again. */
  private static final int MORE_PASSES = 2;

  private final int processors;
  private final Supplier<GpuHost> host;
  private final CalibrationCache cache;
  private final Supplier<Optional<MachineLoad>> machine;
  private final Ticker ticker;
  private final ReentrantLock measuring = new ReentrantLock(true);
  private final LoadsUnderWay loads = new LoadsUnderWay();

  /**
   * Calibrates models for that many processors.
   *
   * @param host what there is of GPUs, asked if one is missing
   * @param cache keeps what was found out
   * @param machine what else the machine does, asked before and after measuring
   */
  Calibration(
      int processors,
      Supplier<GpuHost> host,
      CalibrationCache cache,
      Supplier<Optional<MachineLoad>> machine,
      Ticker ticker) {
    this.processors = processors;
    this.host = host;
    this.cache = cache;
    this.machine = machine;
    this.ticker = ticker;
  }

  /**
   * A model that is ready to serve.
   *
   * @param instances the model on each of its devices, in the placements that were chosen; owned by
   *     whoever has this
   * @param merge whether its requests may share a batch
   * @param samples how long batches take in one of the instances of the first device; empty if it
   *     was not measured
   * @param properties what came of it, for people: for the model's metadata and the log
   */
  record Ready(
      List<Instances> instances,
      boolean merge,
      List<LatencySample> samples,
      Map<String, String> properties)
      implements AutoCloseable {

    /** The model on its first device. */
    Instances first() {
      return instances.getFirst();
    }

    List<Placement> placements() {
      return instances.stream().map(Instances::placement).toList();
    }

    /** Frees the model and its predictors. */
    @Override
    public void close() {
      instances.forEach(Instances::close);
    }
  }

  /**
   * Loads a model onto all its devices and makes it ready; blocks. It is measured on the first one.
   *
   * @throws dev.millrace.api.InferenceException if it cannot be loaded, a device that is asked for
   *     is not there, or the engine cannot run it at all; nothing is left behind
   */
  Ready load(LoadPlan plan) {
    DeviceSelection selection = new DeviceSelection(plan.backend(), host, processors);
    List<Placement> usual = selection.place(plan.options());
    selection
        .passedOver(plan.options(), usual)
        .ifPresent(why -> LOG.warn("{} runs on the CPU though there is a GPU: {}", plan.id(), why));
    Optional<String> key = key(plan, usual);
    Optional<CalibrationCache.Entry> known = key.flatMap(cache::find);
    Placement first = usual.getFirst();
    Placement placement =
        known
            .map(entry -> new Placement(first.device(), entry.instances(), entry.threads()))
            .orElse(first);
    Run run = warmedUp(plan, usual, placement, known);
    try {
      return run.ready(key);
    } catch (Throwable e) {
      run.close();
      throw e;
    }
  }

  /** A model that has run, and is verified. */
  private Run warmedUp(
      LoadPlan plan,
      List<Placement> usual,
      Placement placement,
      Optional<CalibrationCache.Entry> known) {
    loads.begin();
    try {
      long start = ticker.nanos();
      Instances first = Instances.load(plan, placement);
      Run run = new Run(plan, usual, first, ticker.nanos() - start, known);
      try {
        run.warmUp();
        return run;
      } catch (Throwable e) {
        run.close();
        throw e;
      }
    } finally {
      loads.end();
    }
  }

  /** What the calibration is known under; empty if it is not to be known, or cannot. */
  private Optional<String> key(LoadPlan plan, List<Placement> placements) {
    if (!cache.isOn() || !isMeasured(plan)) {
      return Optional.empty();
    }
    try {
      return Optional.of(CalibrationKey.of(plan, placements, processors));
    } catch (IOException | UncheckedIOException e) {
      LOG.debug("{}: the model's files cannot be read", plan.id(), e);
      return Optional.empty();
    }
  }

  private static boolean isMeasured(LoadPlan plan) {
    return plan.options().warmUp().orElse(true) && time(plan).isPositive();
  }

  private static Duration time(LoadPlan plan) {
    return plan.options().calibrationTime().orElse(ModelOptions.DEFAULT_CALIBRATION_TIME);
  }

  /** One model's calibration; owns the best instances so far, and those on further devices. */
  private final class Run {
    private final LoadPlan plan;
    private final List<Placement> usual;
    private final ModelMetadata metadata;
    private final long loadNanos;
    private final String model;
    private final Optional<CalibrationCache.Entry> known;
    private final Map<String, String> properties = new LinkedHashMap<>();
    private final List<Instances> others = new ArrayList<>();
    private Instances best;
    private Optional<SyntheticInputs> madeUp = Optional.empty();
    private long deadline;
    private boolean merge = true;
    private boolean crowded;

    Run(
        LoadPlan plan,
        List<Placement> usual,
        Instances first,
        long loadNanos,
        Optional<CalibrationCache.Entry> known) {
      this.plan = plan;
      this.usual = usual;
      this.best = first;
      ModelMetadata declared = first.model().metadata();
      this.metadata =
          declared.withMaxBatchSize(
              ModelLoader.maxBatchSize(declared.maxBatchSize(), plan.options()));
      this.loadNanos = loadNanos;
      this.model = fingerprint(metadata);
      this.known = known.filter(entry -> entry.model().equals(model));
    }

    /** Runs the model, and finds out whether its requests may be merged, unless that is known. */
    void warmUp() {
      if (!plan.options().warmUp().orElse(true)) {
        return;
      }
      runSamples(best);
      deadline = ticker.nanos() + time(plan).toNanos();
      madeUp = WarmUp.run(metadata, best.predictors(), ticker);
      if (madeUp.isPresent() && known.isEmpty()) {
        verify(madeUp.get(), deadline);
      }
    }

    Ready ready(Optional<String> key) {
      List<LatencySample> samples = List.of();
      if (madeUp.isPresent() && known.isPresent()) {
        samples = recall(known.get());
      } else if (madeUp.isPresent() && isMeasured(plan)) {
        samples = measure(madeUp.get(), deadline);
        keep(key, samples);
      }
      loadOthers();
      List<Instances> all = new ArrayList<>(List.of(best));
      all.addAll(others);
      return new Ready(List.copyOf(all), merge, samples, properties);
    }

    /** Runs what a {@code config.pbtxt} asks for. */
    private void runSamples(Instances instances) {
      if (plan.declared().isPresent()) {
        new WarmUpSamples(metadata, plan.directories())
            .run(plan.declared().get().warmUps(), instances.predictors());
      }
    }

    /** Loads the model onto its further devices, which are like the first one or were asked for. */
    private void loadOthers() {
      for (Placement placement : usual.subList(1, usual.size())) {
        others.add(Instances.load(plan, placement));
        if (plan.options().warmUp().orElse(true)) {
          runSamples(others.getLast());
          WarmUp.run(metadata, others.getLast().predictors(), ticker);
        }
      }
    }

    void close() {
      best.close();
      others.forEach(Instances::close);
    }

    private List<LatencySample> recall(CalibrationCache.Entry entry) {
      merge = entry.merge();
      if (!entry.batching().isEmpty()) {
        tellBatching(entry.batching());
      }
      tellCalibration(entry.samples());
      return entry.samples();
    }

    private void keep(Optional<String> key, List<LatencySample> samples) {
      if (key.isPresent() && !samples.isEmpty() && !crowded) {
        cache.put(
            key.get(),
            new CalibrationCache.Entry(
                model,
                best.placement().instances(),
                best.placement().threads(),
                merge,
                properties.getOrDefault("batching", ""),
                samples));
      }
    }

    private void verify(SyntheticInputs inputs, long end) {
      boolean wanted =
          switch (plan.options().batching().mode().orElse(BatchingOptions.Mode.VERIFY)) {
            case VERIFY -> true;
            case ON, OFF -> false;
          };
      if (!wanted || metadata.maxBatchSize() < 2) {
        return;
      }
      BatchCheck.Verdict verdict =
          BatchCheck.run(metadata, inputs, best.predictors().getFirst(), ticker, end);
      merge = verdict.merge();
      tellBatching(verdict.note());
    }

    private void tellBatching(String note) {
      properties.put("batching", note);
      if (merge) {
        LOG.debug("{}: batching: {}", metadata.id(), note);
      } else {
        LOG.warn("{}: batching: {}", metadata.id(), note);
      }
    }

    private void tellCalibration(List<LatencySample> samples) {
      String summary = summary(best.placement(), samples);
      properties.put("calibration", summary);
      LOG.info("{}: calibration: {}", metadata.id(), summary);
    }

    private List<LatencySample> measure(SyntheticInputs inputs, long end) {
      int maxRows = merge && inputs.canBatch() ? Math.max(1, metadata.maxBatchSize()) : 1;
      List<Integer> sizes = new ArrayList<>(plan.options().batching().preferredSizes());
      sizes.addAll(plan.options().batching().batchSizes().orElse(List.of()));
      PlacementSearch search = new PlacementSearch(ticker, maxRows, sizes);
      long asked = ticker.nanos();
      if (!loads.awaitNone(time(plan))) {
        LOG.debug("{}: is measured while another model loads", metadata.id());
      }
      measuring.lock();
      try {
        long waited = ticker.nanos() - asked;
        Optional<MachineLoad> before = machine.get();
        Speeds speeds = place(search, inputs, end + waited);
        before.ifPresent(this::lookForOthers);
        return samples(inputs, speeds);
      } finally {
        measuring.unlock();
      }
    }

    private void lookForOthers(MachineLoad before) {
      machine
          .get()
          .filter(after -> after.wasCrowdedSince(before, processors))
          .ifPresent(after -> {
            crowded = true;
            LOG.info(
                "{}: while it was measured others used {} of {} processors, so it may get too few"
                    + " instances; this is not kept, and measured again when it is next loaded",
                metadata.id(),
                String.format(Locale.ROOT, "%.1f", after.othersSince(before)),
                after.processors());
          });
    }

    /**
     * Finds the best placement, and how fast the model is there. Fewer instances than there could
     * be have to win again: while the JVM compiles, two that run at once share what it leaves of
     * the processors, and look like one.
     */
    private Speeds place(PlacementSearch search, SyntheticInputs inputs, long end) {
      List<Placement> open =
          usual.size() > 1
              ? List.of(best.placement())
              : best.placement().alternatives(plan.options(), processors);
      List<Integer> others = otherThreads(open);
      Map<Integer, Speeds> measured = new TreeMap<>();
      long now = ticker.nanos();
      long until = others.isEmpty() ? end : now + (end - now) / 2;
      measured.put(best.placement().threads(), speeds(search, best, inputs, open, until));
      for (int i = 0; i < others.size(); i++) {
        now = ticker.nanos();
        until = now + (end - now) / (others.size() - i);
        if (now + 2 * (loadNanos + warmUpNanos(open, others.get(i), measured)) - until > 0) {
          LOG.debug("{}: there is no time to try {} threads", metadata.id(), others.get(i));
          break;
        }
        tryThreads(search, inputs, open, others.get(i), measured, until);
      }
      Speeds speeds = measured.get(best.placement().threads());
      if (speeds == null) {
        throw new IllegalStateException("nothing was measured for " + best.placement());
      }
      int most = largest(open, best.placement().threads()).instances();
      int instances = instances(open, measured);
      for (int i = 0; i < MORE_PASSES && instances < most && ticker.nanos() - end < 0; i++) {
        speeds.improve(speeds(search, best, inputs, open, end));
        instances = instances(open, measured);
      }
      best.keep(instances);
      try (ModelBench bench = new ModelBench(best.predictors(), inputs, ticker)) {
        search.complete(speeds, bench, end);
      }
      return speeds;
    }

    private int instances(List<Placement> open, Map<Integer, Speeds> measured) {
      return PlacementSearch.best(open, measured).orElse(best.placement()).instances();
    }

    /** How long every instance takes to run with one row and with two. */
    private long warmUpNanos(List<Placement> open, int threads, Map<Integer, Speeds> measured) {
      long row = 0;
      for (Speeds speeds : measured.values()) {
        row = Math.max(row, speeds.curve().getOrDefault(1, 0L));
      }
      return row * 3 * largest(open, threads).instances();
    }

    /**
     * Loads the model for another number of threads; the better of the two stays. More threads than
     * need be have to win twice: what was measured first was measured while the JVM still compiled.
     */
    private void tryThreads(
        PlacementSearch search,
        SyntheticInputs inputs,
        List<Placement> open,
        int threads,
        Map<Integer, Speeds> measured,
        long until) {
      Instances rival;
      try {
        rival = Instances.load(plan, largest(open, threads));
      } catch (RuntimeException | OutOfMemoryError e) {
        LOG.debug("{}: cannot be loaded for {} threads", metadata.id(), threads, e);
        return;
      }
      Instances loser = rival;
      try {
        WarmUp.run(metadata, rival.predictors(), ticker);
        Speeds speeds = speeds(search, rival, inputs, open, until);
        measured.put(threads, speeds);
        Optional<Placement> chosen = PlacementSearch.best(open, measured);
        Speeds before = measured.get(best.placement().threads());
        if (before != null && chosen.isPresent() && chosen.get().threads() > fewest(open)) {
          before.improve(speeds(search, best, inputs, open, until));
          speeds.improve(speeds(search, rival, inputs, open, until));
          chosen = PlacementSearch.best(open, measured);
        }
        if (chosen.isPresent() && chosen.get().threads() == threads) {
          loser = best;
          best = rival;
        }
      } catch (RuntimeException e) {
        LOG.debug("{}: cannot be run with {} threads", metadata.id(), threads, e);
      } finally {
        // What is closed is out of the race, also if a later rival would have come behind it.
        measured.remove(loser.placement().threads());
        loser.close();
      }
    }

    private Speeds speeds(
        PlacementSearch search,
        Instances instances,
        SyntheticInputs inputs,
        List<Placement> open,
        long until) {
      int threads = instances.placement().threads();
      List<Integer> counts =
          open.stream()
              .filter(each -> each.threads() == threads)
              .map(Placement::instances)
              .filter(count -> count <= instances.predictors().size())
              .toList();
      try (ModelBench bench = new ModelBench(instances.predictors(), inputs, ticker)) {
        Speeds speeds = search.measure(bench, counts, until);
        LOG.debug(
            "{}: batches at once, of so many rows, by {} threads: {}",
            metadata.id(),
            threads,
            speeds);
        return speeds;
      }
    }

    private static int fewest(List<Placement> open) {
      return open.stream().mapToInt(Placement::threads).min().orElseThrow();
    }

    private static Placement largest(List<Placement> open, int threads) {
      return open.stream()
          .filter(each -> each.threads() == threads)
          .max(Comparator.comparingInt(Placement::instances))
          .orElseThrow();
    }

    /** The threads to load the model for once more, the most first; none if it is large. */
    private List<Integer> otherThreads(List<Placement> open) {
      List<Integer> others =
          open.stream()
              .map(Placement::threads)
              .filter(threads -> threads != best.placement().threads())
              .distinct()
              .sorted(Comparator.reverseOrder())
              .toList();
      try {
        return others.isEmpty() || ModelFiles.of(plan.path()).byteSize() <= MAX_RELOADED_BYTES
            ? others
            : List.of();
      } catch (UncheckedIOException e) {
        LOG.debug("{}: the model's files cannot be measured", metadata.id(), e);
        return List.of();
      }
    }

    private List<LatencySample> samples(SyntheticInputs inputs, Speeds speeds) {
      List<LatencySample> samples = new ArrayList<>();
      speeds
          .curve()
          .forEach(
              (rows, nanos) -> samples.add(new LatencySample(inputs.rowElements(), rows, nanos)));
      if (!samples.isEmpty()) {
        tellCalibration(samples);
      }
      return samples;
    }
  }

  /** What the engine says of the model, in an order of its own. */
  private static String fingerprint(ModelMetadata metadata) {
    return "%s %s %s %d %s"
        .formatted(
            metadata.platform(),
            metadata.inputs(),
            metadata.outputs(),
            metadata.maxBatchSize(),
            new TreeMap<>(metadata.properties()));
  }

  /** As in {@code 2 instances x 1 thread, 1 row 0.08 ms, 64 rows 5.1 ms}. */
  static String summary(Placement placement, List<LatencySample> samples) {
    StringBuilder text = new StringBuilder(placement.describe());
    LatencySample first = samples.getFirst();
    LatencySample last = samples.getLast();
    for (LatencySample sample : first.equals(last) ? List.of(first) : List.of(first, last)) {
      text.append(
          ", %d row%s %s ms"
              .formatted(sample.rows(), sample.rows() == 1 ? "" : "s", millis(sample.nanos())));
    }
    return text.toString();
  }

  /** With two digits that count. */
  private static String millis(long nanos) {
    double millis = nanos / 1e6;
    int decimals = millis >= 10 ? 0 : millis >= 1 ? 1 : millis >= 0.1 ? 2 : millis >= 0.01 ? 3 : 4;
    return String.format(Locale.ROOT, "%." + decimals + "f", millis);
  }
}

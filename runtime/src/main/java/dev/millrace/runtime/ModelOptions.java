package dev.millrace.runtime;

import dev.millrace.api.Settings;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How a model is served, as far as somebody said so. The same keys are read from {@code model.yaml}
 * and from the server's own configuration, whose values win; what nobody said gets the default.
 *
 * @param backend {@code backend}: name of the engine; default: the first that recognises the files
 * @param versionPolicy {@code version-policy}; default: the newest version
 * @param versionLabels {@code version-labels}: names for versions; default: none
 * @param maxBatchSize {@code max-batch-size}: most rows that the model is given at once, 0 to never
 *     merge requests; default: what the model declares, or {@value #DEFAULT_MAX_BATCH_SIZE} if it
 *     is batchable without a bound
 * @param instances {@code instances}: predictors that run at the same time; default on CPU: the
 *     processors divided by {@code threads}, else 1 on each device
 * @param threads {@code threads}: threads that one run may use inside the engine; default: 1, or
 *     the processors divided by {@code instances} if those are given
 * @param device {@code device}: {@code auto}, {@code cpu}, {@code gpu} or {@code gpu:N}; default:
 *     {@code auto}
 * @param instanceGroups {@code instance-groups}: instances on several devices, in place of {@code
 *     device} and {@code instances}; default: one group of these
 * @param queueLimit {@code queue-limit}: requests that may wait for the model, more are refused;
 *     default: {@value #DEFAULT_QUEUE_LIMIT}
 * @param queueBytes {@code queue-bytes}: memory that their inputs may take; default: 512MB
 * @param warmUp {@code warm-up}: whether the model runs once before it serves; default: true
 * @param timeout {@code timeout}: time after which a request that says nothing else is given up;
 *     default: none
 * @param calibrationTime {@code calibration-time}: how long the model may be measured before it
 *     serves, zero not to; default: 2 s
 * @param batching how requests are put together
 * @param logger {@code logger}: the section of the inference logger, which reads it; default: what
 *     the logger does by default
 */
public record ModelOptions(
    Optional<String> backend,
    Optional<VersionPolicy> versionPolicy,
    Optional<VersionLabels> versionLabels,
    Optional<Integer> maxBatchSize,
    Optional<Integer> instances,
    Optional<Integer> threads,
    Optional<DeviceChoice> device,
    List<InstanceGroup> instanceGroups,
    Optional<Integer> queueLimit,
    Optional<Long> queueBytes,
    Optional<Boolean> warmUp,
    Optional<Duration> timeout,
    Optional<Duration> calibrationTime,
    BatchingOptions batching,
    Map<String, Object> logger) {

  static final int DEFAULT_MAX_BATCH_SIZE = 64;
  static final int DEFAULT_QUEUE_LIMIT = 4096;
  static final long DEFAULT_QUEUE_BYTES = 512L << 20;
  static final Duration DEFAULT_CALIBRATION_TIME = Duration.ofSeconds(2);

  public ModelOptions {
    instanceGroups = List.copyOf(instanceGroups);
    logger = Collections.unmodifiableMap(new LinkedHashMap<>(logger));
  }

  private static final ModelOptions NONE = read(Settings.empty("no options"));

  /** Options of which none is set. */
  public static ModelOptions none() {
    return NONE;
  }

  /**
   * The options in {@code settings}; keys of other things are left alone.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT if a value does not do
   */
  public static ModelOptions read(Settings settings) {
    return new ModelOptions(
        settings.string("backend"),
        VersionPolicy.read(settings, "version-policy"),
        VersionLabels.read(settings, "version-labels"),
        settings.integer("max-batch-size", 0, 1 << 20),
        settings.integer("instances", 1, 1024),
        settings.integer("threads", 1, 1024),
        DeviceChoice.read(settings),
        instanceGroups(settings),
        settings.integer("queue-limit", 1, Integer.MAX_VALUE),
        settings.size("queue-bytes"),
        settings.bool("warm-up"),
        settings.duration("timeout"),
        settings.duration("calibration-time"),
        BatchingOptions.read(settings),
        logger(settings));
  }

  /** The section as it is: the logger knows its keys. */
  private static Map<String, Object> logger(Settings settings) {
    Settings section = settings.section("logger");
    Map<String, Object> values = new LinkedHashMap<>();
    for (String key : section.keys()) {
      section.value(key).ifPresent(value -> values.put(key, value));
    }
    return values;
  }

  private static List<InstanceGroup> instanceGroups(Settings settings) {
    List<InstanceGroup> groups = InstanceGroup.read(settings);
    for (String key : List.of("device", "instances")) {
      if (!groups.isEmpty() && settings.value(key).isPresent()) {
        throw settings.bad(
            key, settings.value(key).get(), "nothing, as 'instance-groups' says the same");
      }
    }
    return groups;
  }

  /** The instances that are asked for; the short form, or the default, is one group. */
  List<InstanceGroup> groups() {
    return instanceGroups.isEmpty()
        ? List.of(new InstanceGroup(device.orElse(new DeviceChoice.Auto()), instances))
        : instanceGroups;
  }

  /** These options with groups in place of whatever is said about devices or instances. */
  ModelOptions withGroups(List<InstanceGroup> groups) {
    return groups.isEmpty()
        ? this
        : new ModelOptions(
            backend,
            versionPolicy,
            versionLabels,
            maxBatchSize,
            Optional.empty(),
            threads,
            Optional.empty(),
            groups,
            queueLimit,
            queueBytes,
            warmUp,
            timeout,
            calibrationTime,
            batching,
            logger);
  }

  /** These options with others in place of those about batching. */
  ModelOptions withBatching(BatchingOptions other) {
    return new ModelOptions(
        backend,
        versionPolicy,
        versionLabels,
        maxBatchSize,
        instances,
        threads,
        device,
        instanceGroups,
        queueLimit,
        queueBytes,
        warmUp,
        timeout,
        calibrationTime,
        other,
        logger);
  }

  /** Whether the number of instances is given. */
  boolean isCounted() {
    return groups().stream().anyMatch(group -> group.count().isPresent());
  }

  /** Whether anything is said about devices or instances. */
  private boolean isPlaced() {
    return instances.isPresent() || device.isPresent() || !instanceGroups.isEmpty();
  }

  /**
   * These options, and where they say nothing, {@code lower}. Groups, and the short form of one,
   * take the place of each other.
   */
  public ModelOptions over(ModelOptions lower) {
    boolean grouped = !instanceGroups.isEmpty();
    Map<String, Object> section = new LinkedHashMap<>(lower.logger);
    section.putAll(logger);
    return new ModelOptions(
        backend.or(lower::backend),
        versionPolicy.or(lower::versionPolicy),
        versionLabels.or(lower::versionLabels),
        maxBatchSize.or(lower::maxBatchSize),
        grouped ? instances : instances.or(lower::instances),
        threads.or(lower::threads),
        grouped ? device : device.or(lower::device),
        isPlaced() ? instanceGroups : lower.instanceGroups,
        queueLimit.or(lower::queueLimit),
        queueBytes.or(lower::queueBytes),
        warmUp.or(lower::warmUp),
        timeout.or(lower::timeout),
        calibrationTime.or(lower::calibrationTime),
        batching.over(lower.batching),
        section);
  }
}

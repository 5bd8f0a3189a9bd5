package dev.millrace.runtime;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * What a {@link ModelServer} is made from.
 *
 * @param models where to find models
 * @param options what the server's own configuration says explicitly, for all models; wins over
 *     every {@code model.yaml}
 * @param processors processors to share out among instances and threads
 * @param maxInFlightRequests requests, of all models, that may be taken over and not answered
 * @param maxInFlightBytes memory that their inputs may take; a single request may exceed it when it
 *     is alone
 * @param modelWait how long to wait at the start for a place that does not exist yet (KServe's
 *     {@code MODEL_INIT_MODE=async}); zero to fail at once
 * @param drainTimeout how long {@link ModelServer#close} waits for requests in flight before it
 *     unloads their models
 * @param pollInterval how often the places are looked at for what changed; zero not to
 * @param calibrationCache directory in which the results of calibration are kept; empty to measure
 *     at every start
 */
public record RuntimeConfig(
    List<ModelPath> models,
    ModelOptions options,
    int processors,
    int maxInFlightRequests,
    long maxInFlightBytes,
    Duration modelWait,
    Duration drainTimeout,
    Duration pollInterval,
    Optional<Path> calibrationCache) {
  public RuntimeConfig {
    models = List.copyOf(models);
    requireNonNull(options, "options is null");
    requireNonNull(modelWait, "modelWait is null");
    requireNonNull(drainTimeout, "drainTimeout is null");
    requireNonNull(pollInterval, "pollInterval is null");
    requireNonNull(calibrationCache, "calibrationCache is null");
    if (processors < 1 || maxInFlightRequests < 1 || maxInFlightBytes < 1) {
      throw new IllegalArgumentException(
          "processors, maxInFlightRequests and maxInFlightBytes must be positive: %d, %d, %d"
              .formatted(processors, maxInFlightRequests, maxInFlightBytes));
    }
  }

  /** 2 GiB, or what the heap may grow to, a part of the machine's or container's, if less. */
  public static long defaultMaxInFlightBytes() {
    return Math.min(2L << 30, Runtime.getRuntime().maxMemory());
  }

  /** Everything by default: this machine's (or container's) processors, no options. */
  public static RuntimeConfig of(List<ModelPath> models) {
    return new RuntimeConfig(
        models,
        ModelOptions.none(),
        Runtime.getRuntime().availableProcessors(),
        16_384,
        defaultMaxInFlightBytes(),
        Duration.ZERO,
        Duration.ofSeconds(30),
        Duration.ZERO,
        Optional.empty());
  }

  /** One place, everything by default. */
  public static RuntimeConfig of(Path path) {
    return of(List.of(ModelPath.of(path)));
  }

  /** This configuration with other options for all models. */
  public RuntimeConfig withOptions(ModelOptions other) {
    return new RuntimeConfig(
        models,
        other,
        processors,
        maxInFlightRequests,
        maxInFlightBytes,
        modelWait,
        drainTimeout,
        pollInterval,
        calibrationCache);
  }

  /** This configuration for another number of processors. */
  public RuntimeConfig withProcessors(int count) {
    return new RuntimeConfig(
        models,
        options,
        count,
        maxInFlightRequests,
        maxInFlightBytes,
        modelWait,
        drainTimeout,
        pollInterval,
        calibrationCache);
  }

  /** This configuration with other bounds on what is in flight. */
  public RuntimeConfig withInFlightLimits(int requests, long bytes) {
    return new RuntimeConfig(
        models,
        options,
        processors,
        requests,
        bytes,
        modelWait,
        drainTimeout,
        pollInterval,
        calibrationCache);
  }

  /** This configuration with another time to wait for places that do not exist yet. */
  public RuntimeConfig withModelWait(Duration time) {
    return new RuntimeConfig(
        models,
        options,
        processors,
        maxInFlightRequests,
        maxInFlightBytes,
        time,
        drainTimeout,
        pollInterval,
        calibrationCache);
  }

  /** This configuration with another time to wait for requests in flight when it closes. */
  public RuntimeConfig withDrainTimeout(Duration time) {
    return new RuntimeConfig(
        models,
        options,
        processors,
        maxInFlightRequests,
        maxInFlightBytes,
        modelWait,
        time,
        pollInterval,
        calibrationCache);
  }

  /** This configuration with changes looked for at that interval; zero not to. */
  public RuntimeConfig withPollInterval(Duration interval) {
    return new RuntimeConfig(
        models,
        options,
        processors,
        maxInFlightRequests,
        maxInFlightBytes,
        modelWait,
        drainTimeout,
        interval,
        calibrationCache);
  }

  /** This configuration with a directory in which the results of calibration are kept. */
  public RuntimeConfig withCalibrationCache(Path directory) {
    return new RuntimeConfig(
        models,
        options,
        processors,
        maxInFlightRequests,
        maxInFlightBytes,
        modelWait,
        drainTimeout,
        pollInterval,
        Optional.of(directory));
  }
}

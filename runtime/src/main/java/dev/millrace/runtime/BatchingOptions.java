package dev.millrace.runtime;

import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.batcher.Padding;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/**
 * How the requests for a model are put together, as far as somebody said so.
 *
 * @param mode {@code batching}; default: {@link Mode#VERIFY}
 * @param policy {@code batch-policy}; default: {@link Policy#ADAPTIVE}
 * @param latencyTarget {@code latency-target}: how long a request shall take at most, from its
 *     arrival to its answer; default: none
 * @param maxQueueDelay {@code max-queue-delay}: how long a request may be held back for others to
 *     join its batch; default: for {@link Policy#ADAPTIVE} half of the time of one row, or all of
 *     it while saturated, for {@link Policy#FIXED} nothing
 * @param batchSizes {@code batch-sizes}: the sizes that the model is run with, ascending; batches
 *     are filled up to the next; default: any
 * @param deviceShare {@code device-share}: this model's weight among those that share a device;
 *     default: 1
 * @param padding {@code padding}: how requests of different lengths share a batch; default: they do
 *     not
 * @param preferredSizes sizes that batches are cut to where that costs little, ascending; only from
 *     Triton's {@code dynamic_batching}; default: none
 * @param priorities that requests may have; only from there, too; default: as many as the batcher
 *     has
 */
public record BatchingOptions(
    Optional<Mode> mode,
    Optional<Policy> policy,
    Optional<Duration> latencyTarget,
    Optional<Duration> maxQueueDelay,
    Optional<List<Integer>> batchSizes,
    Optional<Integer> deviceShare,
    Optional<Padding> padding,
    List<Integer> preferredSizes,
    Optional<PriorityLevels> priorities) {

  /** Whether requests share batches. */
  public enum Mode {
    /** If rows give the same alone and together when the model is loaded. */
    VERIFY,
    /** If the model declares it, unchecked. */
    ON,
    /** Never. */
    OFF
  }

  /** What decides when a batch runs and with how many rows. */
  public enum Policy {
    /** What was learned of the model and of its traffic. */
    ADAPTIVE,
    /** A free instance takes what waits. */
    GREEDY,
    /** A batch runs when it is full or its oldest request has waited for the delay. */
    FIXED
  }

  private static final BatchingOptions NONE = read(Settings.empty("no options"));

  public BatchingOptions {
    batchSizes = batchSizes.map(sizes -> List.copyOf(new TreeSet<>(sizes)));
    preferredSizes = List.copyOf(new TreeSet<>(preferredSizes));
  }

  /** Options of which none is set. */
  public static BatchingOptions none() {
    return NONE;
  }

  /**
   * The options in {@code settings}; keys of other things are left alone.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT if a value does not do
   */
  public static BatchingOptions read(Settings settings) {
    return new BatchingOptions(
        settings.oneOf("batching", Mode.class),
        settings.oneOf("batch-policy", Policy.class),
        settings
            .duration("latency-target")
            .map(time -> {
              if (!time.isPositive()) {
                throw settings.bad("latency-target", time, "more than no time");
              }
              return time;
            }),
        settings.duration("max-queue-delay"),
        batchSizes(settings, "batch-sizes"),
        settings.integer("device-share", 1, 1000),
        padding(settings.section("padding")),
        List.of(),
        Optional.empty());
  }

  /** These options with what only Triton's section can say. */
  BatchingOptions with(List<Integer> preferred, Optional<PriorityLevels> levels) {
    return new BatchingOptions(
        mode,
        policy,
        latencyTarget,
        maxQueueDelay,
        batchSizes,
        deviceShare,
        padding,
        preferred,
        levels);
  }

  /** The section with {@code inputs}, {@code outputs} and {@code dimension}. */
  private static Optional<Padding> padding(Settings section) {
    Map<String, Double> inputs = new LinkedHashMap<>();
    Settings values = section.section("inputs");
    for (String input : values.keys()) {
      Object value = values.value(input).orElse("");
      if (!(value instanceof Number number)) {
        throw values.bad(input, value, "the number that it is filled up with");
      }
      inputs.put(input, number.doubleValue());
    }
    Map<String, Integer> outputs = new LinkedHashMap<>();
    Settings cut = section.section("outputs");
    for (String output : cut.keys()) {
      cut.integer(output, 1, Shape.MAX_RANK).ifPresent(dim -> outputs.put(output, dim));
    }
    int dimension = section.integer("dimension", 1, Shape.MAX_RANK).orElse(1);
    if (section.keys().isEmpty()) {
      return Optional.empty();
    }
    if (inputs.isEmpty()) {
      throw section.bad("inputs", "none", "at least one input to fill up");
    }
    return Optional.of(new Padding(dimension, inputs, outputs));
  }

  /**
   * Sizes of batches: a list, or a text as in {@code 1,4,16}.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT if there is none, or one is not a
   *     whole number from 1 on
   */
  public static Optional<List<Integer>> batchSizes(Settings settings, String key) {
    Optional<Object> value = settings.value(key);
    if (value.isEmpty()) {
      return Optional.empty();
    }
    List<?> parts =
        value.get() instanceof List<?> list
            ? list
            : List.of(value.get().toString().strip().split("\\s*,\\s*", -1));
    TreeSet<Integer> sizes = new TreeSet<>();
    for (Object part : parts) {
      if (!String.valueOf(part).matches("[1-9]\\d{0,5}")) {
        throw settings.bad(key, value.get(), "numbers of rows, as in 1,4,16");
      }
      sizes.add(Integer.parseInt(String.valueOf(part)));
    }
    if (sizes.isEmpty()) {
      throw settings.bad(key, value.get(), "numbers of rows, as in 1,4,16");
    }
    return Optional.of(List.copyOf(sizes));
  }

  /** These options, and where they say nothing, {@code lower}. */
  public BatchingOptions over(BatchingOptions lower) {
    return new BatchingOptions(
        mode.or(lower::mode),
        policy.or(lower::policy),
        latencyTarget.or(lower::latencyTarget),
        maxQueueDelay.or(lower::maxQueueDelay),
        batchSizes.or(lower::batchSizes),
        deviceShare.or(lower::deviceShare),
        padding.or(lower::padding),
        preferredSizes.isEmpty() ? lower.preferredSizes : preferredSizes,
        priorities.or(lower::priorities));
  }

  /** The sizes of batches that are not beyond the cap; empty for any. */
  List<Integer> sizesUpTo(int maxBatchSize) {
    return batchSizes.orElse(List.of()).stream().filter(rows -> rows <= maxBatchSize).toList();
  }
}

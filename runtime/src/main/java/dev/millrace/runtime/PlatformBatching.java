package dev.millrace.runtime;

import dev.millrace.api.Settings;
import dev.millrace.batcher.Batcher;
import dev.millrace.runtime.PriorityLevels.QueuePolicy;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Reads how other servers are told to batch. What they are told is kept to as a bound: nothing
 * waits longer and no batch is larger, but nothing waits only because they would have.
 */
final class PlatformBatching {
  private PlatformBatching() {}

  /**
   * The batcher of KServe and Hopsworks, as in the section {@code batcher} of an InferenceService:
   * {@code maxBatchSize} is {@code max-batch-size}; {@code maxLatency}, in milliseconds, is {@code
   * max-queue-delay}; {@code timeout}, in seconds, is {@code timeout}.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT if a value does not do
   */
  static ModelOptions kserve(Settings batcher) {
    Map<String, Object> values = new HashMap<>();
    put(values, "max-batch-size", batcher.integer("maxBatchSize", 1, 1 << 20));
    put(
        values,
        "max-queue-delay",
        batcher.integer("maxLatency", 0, 86_400_000).map(ms -> ms + "ms"));
    put(values, "timeout", batcher.integer("timeout", 1, 86_400).map(seconds -> seconds + "s"));
    return ModelOptions.read(Settings.of(batcher.source(), values));
  }

  /**
   * Triton's {@code dynamic_batching}: {@code max_queue_delay_microseconds} is {@code
   * max-queue-delay}; {@code max_queue_size} of the default queue policy is {@code queue-limit} and
   * its {@code default_timeout_microseconds}, where time-outs are rejected, {@code timeout}; 0 says
   * nothing of either. {@code preferred_batch_size} asks for batches of exactly these sizes where
   * they can be had, which only pays where the engine was made for them; it does not forbid others,
   * so it is not {@code batch-sizes}, but sizes that batches are cut to where that costs little.
   * With {@code priority_levels}, requests have so many priorities, each with a queue policy: the
   * default one or its own, so that a bound is each level's, not that of all together.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT if a value does not do, or asks
   *     for what is not there
   */
  static ModelOptions triton(Settings dynamicBatching) {
    Map<String, Object> values = new HashMap<>();
    put(values, "max-queue-delay", micros(dynamicBatching, "max_queue_delay_microseconds"));
    List<Integer> preferred =
        dynamicBatching.list("preferred_batch_size").isEmpty()
            ? List.of()
            : BatchingOptions.batchSizes(dynamicBatching, "preferred_batch_size").orElseThrow();
    dynamicBatching.bool("preserve_ordering");
    QueuePolicy others = queuePolicy(dynamicBatching.section("default_queue_policy"));
    put(values, "timeout", others.timeout().map(time -> time.toNanos() / 1000 + "us"));
    Optional<PriorityLevels> levels = levels(dynamicBatching, others);
    if (levels.isEmpty()) {
      put(values, "queue-limit", others.queueLimit());
    }
    ModelOptions options = ModelOptions.read(Settings.of(dynamicBatching.source(), values));
    return options.withBatching(options.batching().with(preferred, levels));
  }

  private static Optional<PriorityLevels> levels(Settings dynamicBatching, QueuePolicy others) {
    int levels =
        dynamicBatching.integer("priority_levels", 0, Batcher.LOWEST_PRIORITY + 1).orElse(0);
    int most = levels == 0 ? Integer.MAX_VALUE : levels;
    int usual = dynamicBatching.integer("default_priority_level", 0, most).orElse(0);
    Settings own = dynamicBatching.section("priority_queue_policy");
    Map<Integer, QueuePolicy> policies = new HashMap<>();
    for (String key : own.keys()) {
      if (!key.matches("[1-9]\\d{0,8}") || Integer.parseInt(key) > levels) {
        throw own.bad(key, own.value(key).orElse(""), "levels from 1 to %d".formatted(levels));
      }
      policies.put(Integer.parseInt(key), queuePolicy(own.section(key)));
    }
    return levels == 0
        ? Optional.empty()
        : Optional.of(new PriorityLevels(levels, usual, others.queueLimit(), policies));
  }

  private static QueuePolicy queuePolicy(Settings policy) {
    Optional<String> action = policy.string("timeout_action");
    action
        .filter(text -> !List.of("REJECT", "DELAY", "0", "1").contains(text))
        .ifPresent(text -> {
          throw policy.bad("timeout_action", text, "REJECT or DELAY");
        });
    boolean delays = action.filter(text -> text.equals("DELAY") || text.equals("1")).isPresent();
    policy.bool("allow_timeout_override");
    return new QueuePolicy(
        policy
            .integer("default_timeout_microseconds", 0, Integer.MAX_VALUE)
            .filter(micros -> micros > 0 && !delays)
            .map(micros -> Duration.of(micros, ChronoUnit.MICROS)),
        policy.integer("max_queue_size", 0, Integer.MAX_VALUE).filter(size -> size > 0));
  }

  private static Optional<String> micros(Settings settings, String key) {
    return settings.integer(key, 0, Integer.MAX_VALUE).map(micros -> micros + "us");
  }

  private static void put(Map<String, Object> values, String key, Optional<?> value) {
    value.ifPresent(present -> values.put(key, present));
  }
}

package dev.millrace.runtime;

import dev.millrace.api.Settings;
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
   * so it is not {@code batch-sizes}, and is accepted and not heeded.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT if a value does not do, or asks
   *     for what is not there
   */
  static ModelOptions triton(Settings dynamicBatching) {
    Map<String, Object> values = new HashMap<>();
    put(values, "max-queue-delay", micros(dynamicBatching, "max_queue_delay_microseconds"));
    for (Object size : dynamicBatching.list("preferred_batch_size")) {
      if (!String.valueOf(size).matches("[1-9]\\d{0,5}")) {
        throw dynamicBatching.bad("preferred_batch_size", size, "numbers of rows");
      }
    }
    dynamicBatching.bool("preserve_ordering");
    dynamicBatching.integer("priority_levels", 0, Integer.MAX_VALUE);
    dynamicBatching.integer("default_priority_level", 0, Integer.MAX_VALUE);
    Settings policy = dynamicBatching.section("default_queue_policy");
    Optional<String> action = policy.string("timeout_action");
    action
        .filter(text -> !List.of("REJECT", "DELAY", "0", "1").contains(text))
        .ifPresent(text -> {
          throw policy.bad("timeout_action", text, "REJECT or DELAY");
        });
    Optional<String> timeout = micros(policy, "default_timeout_microseconds");
    if (action.filter(text -> text.equals("DELAY") || text.equals("1")).isEmpty()) {
      put(values, "timeout", timeout.filter(text -> !text.equals("0us")));
    }
    policy.bool("allow_timeout_override");
    put(
        values,
        "queue-limit",
        policy.integer("max_queue_size", 0, Integer.MAX_VALUE).filter(size -> size > 0));
    return ModelOptions.read(Settings.of(dynamicBatching.source(), values));
  }

  private static Optional<String> micros(Settings settings, String key) {
    return settings.integer(key, 0, Integer.MAX_VALUE).map(micros -> micros + "us");
  }

  private static void put(Map<String, Object> values, String key, Optional<?> value) {
    value.ifPresent(present -> values.put(key, present));
  }
}

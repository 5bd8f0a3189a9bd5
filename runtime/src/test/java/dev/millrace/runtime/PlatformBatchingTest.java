package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.Parameters;
import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.batcher.Batcher;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlatformBatchingTest {
  @TempDir private Path root;

  private ModelConfig config(String yaml) throws IOException {
    Trees.write(root, "model.yaml", yaml);
    return ModelConfig.in(root, List.of(new FakeBackend()));
  }

  @Test
  void batcherOfKServe_isUnderstoodInItsUnits() throws IOException {
    ModelOptions options =
        config("batcher:\n  maxBatchSize: 32\n  maxLatency: 500\n  timeout: 60\n").options();
    assertThat(options.maxBatchSize()).hasValue(32);
    assertThat(options.batching().maxQueueDelay()).hasValue(Duration.ofMillis(500));
    assertThat(options.timeout()).hasValue(Duration.ofSeconds(60));
  }

  @Test
  void dynamicBatchingOfTriton_isUnderstoodInItsUnits() throws IOException {
    ModelOptions options =
        config(
                """
                dynamic_batching:
                  preferred_batch_size: [4, 8]
                  max_queue_delay_microseconds: 100
                  preserve_ordering: true
                  default_queue_policy:
                    timeout_action: REJECT
                    default_timeout_microseconds: 20000
                    allow_timeout_override: true
                    max_queue_size: 16
                """)
            .options();
    assertThat(options.batching().maxQueueDelay()).hasValue(Duration.ofNanos(100_000));
    assertThat(options.batching().batchSizes()).isEmpty();
    assertThat(options.batching().preferredSizes()).containsExactly(4, 8);
    assertThat(options.batching().priorities()).isEmpty();
    assertThat(options.timeout()).hasValue(Duration.ofMillis(20));
    assertThat(options.queueLimit()).hasValue(16);
  }

  @Test
  void priorityLevelsOfTriton_haveQueuePoliciesOfTheirOwn() throws IOException {
    ModelOptions options =
        config(
                """
                dynamic_batching:
                  priority_levels: 3
                  default_priority_level: 2
                  default_queue_policy:
                    default_timeout_microseconds: 20000
                    max_queue_size: 16
                  priority_queue_policy:
                    1:
                      max_queue_size: 4
                    3:
                      timeout_action: DELAY
                      default_timeout_microseconds: 1000
                """)
            .options();
    PriorityLevels levels = options.batching().priorities().orElseThrow();
    assertThat(levels.limits()).isEqualTo(Map.of(0, 4, 1, 16));
    assertThat(options.queueLimit()).as("is of all together").isEmpty();
    assertThat(options.timeout()).hasValue(Duration.ofMillis(20));
    assertThat(timeout(options, 1)).isEmpty();
    assertThat(timeout(options, 2)).hasValue(Duration.ofMillis(20));
    assertThat(timeout(options, 3)).isEmpty();
    assertThat(levels.of(asking(1))).isZero();
    assertThat(levels.of(asking(3))).isEqualTo(2);
    assertThat(levels.of(asking(0))).as("names none").isEqualTo(1);
    assertThat(levels.of(asking(4))).as("there is not").isEqualTo(1);
  }

  private static Optional<Duration> timeout(ModelOptions options, long priority) {
    return options
        .batching()
        .priorities()
        .orElseThrow()
        .timeout(asking(priority), options.timeout());
  }

  private static InferenceRequest asking(long priority) {
    return InferenceRequest.of("m", TensorMap.empty())
        .withParameters(Parameters.copyOf(Map.of("priority", priority)));
  }

  @Test
  void withoutLevels_everyPriorityCounts() {
    assertThat(PriorityLevels.ANY.of(asking(0))).isZero();
    assertThat(PriorityLevels.ANY.of(asking(1))).isZero();
    assertThat(PriorityLevels.ANY.of(asking(7))).isEqualTo(6);
    assertThat(PriorityLevels.ANY.of(asking(Long.MAX_VALUE))).isEqualTo(Batcher.LOWEST_PRIORITY);
  }

  @Test
  void timeOutsThatOnlyDelay_andZeros_giveNothingUp() throws IOException {
    String policy = "dynamic_batching:\n  default_queue_policy:\n    ";
    assertThat(
            config(policy + "timeout_action: DELAY\n    default_timeout_microseconds: 5\n")
                .options()
                .timeout())
        .isEmpty();
    ModelOptions zeros =
        config(policy + "default_timeout_microseconds: 0\n    max_queue_size: 0\n").options();
    assertThat(zeros.timeout()).isEmpty();
    assertThat(zeros.queueLimit()).isEmpty();
    assertThat(config("dynamic_batching: {}\n").options()).isEqualTo(ModelOptions.none());
  }

  @Test
  void ourOwnKeys_winOverBoth() throws IOException {
    ModelOptions options =
        config(
                """
                max-queue-delay: 1ms
                batcher:
                  maxLatency: 2
                dynamic_batching:
                  max_queue_delay_microseconds: 3
                """)
            .options();
    assertThat(options.batching().maxQueueDelay()).hasValue(Duration.ofMillis(1));
  }

  @Test
  void badValues_andUnknownKeys_areNamed() {
    assertThatThrownBy(() -> config("batcher:\n  maxLatency: 5s\n"))
        .hasMessageContaining("batcher.maxLatency: expected a whole number from 0");
    assertThatThrownBy(() -> config("batcher:\n  maxlatency: 5\n"))
        .hasMessageContaining("unknown key 'batcher.maxlatency'; did you mean 'maxLatency'?");
    assertThatThrownBy(() -> config("batcher: 5\n")).hasMessageContaining("batcher: expected");
    assertThatThrownBy(
            () -> config("dynamic_batching:\n  default_queue_policy:\n    timeout_action: X\n"))
        .hasMessageContaining("timeout_action: expected REJECT or DELAY, got 'X'");
    assertThatThrownBy(() -> config("dynamic_batching:\n  preferred_batch_size: [0]\n"))
        .hasMessageContaining("dynamic_batching.preferred_batch_size: expected numbers of rows");
    assertThatThrownBy(
            () -> config("dynamic_batching: {priority_levels: 2, default_priority_level: 3}\n"))
        .hasMessageContaining("default_priority_level: expected a whole number from 0 to 2");
    assertThatThrownBy(() ->
            config("dynamic_batching: {priority_levels: 1, priority_queue_policy: {2: {}}}\n"))
        .hasMessageContaining("priority_queue_policy.2: expected levels from 1 to 1");
  }

  @Test
  void overridesOfALoad_takeTritonsSection() {
    ModelOptions options =
        LoadOverrides.read(Map.of("dynamic_batching", Map.of("max_queue_delay_microseconds", 7)));
    assertThat(options.batching().maxQueueDelay()).hasValue(Duration.ofNanos(7000));
    assertThatThrownBy(() -> LoadOverrides.read(Map.of("dynamic_batching", Map.of("delay", 7))))
        .hasMessageContaining("unknown key 'dynamic_batching.delay'");
  }

  @Test
  void sizesOfBatches_areAListOrAText() {
    assertThat(sizes(List.of(4, 1, 4))).containsExactly(1, 4);
    assertThat(sizes("8, 2")).containsExactly(2, 8);
    assertThat(sizes(16)).containsExactly(16);
    assertThatThrownBy(() -> sizes("1,x"))
        .hasMessage("test: batch-sizes: expected numbers of rows, as in 1,4,16, got '1,x'");
    assertThatThrownBy(() -> sizes(List.of())).hasMessageContaining("expected numbers of rows");
  }

  private static List<Integer> sizes(Object value) {
    return ModelOptions.read(Settings.of("test", Map.of("batch-sizes", value)))
        .batching()
        .batchSizes()
        .orElseThrow();
  }
}

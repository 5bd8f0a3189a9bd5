package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class ModelOptionsTest {
  private static ModelOptions options(Map<String, Object> values) {
    return ModelOptions.read(Settings.of("x.yaml", values));
  }

  @Test
  void everyKey_isRead() {
    ModelOptions options =
        options(
            Map.of(
                "backend",
                "onnx",
                "version-policy",
                "all",
                "max-batch-size",
                8,
                "instances",
                2,
                "threads",
                3,
                "device",
                "gpu:1",
                "queue-limit",
                10,
                "queue-bytes",
                "1MB",
                "warm-up",
                false,
                "timeout",
                "2s"));
    assertThat(options.backend()).hasValue("onnx");
    assertThat(options.versionPolicy()).hasValue(new VersionPolicy.All());
    assertThat(options.maxBatchSize()).hasValue(8);
    assertThat(options.instances()).hasValue(2);
    assertThat(options.threads()).hasValue(3);
    assertThat(options.device()).hasValue(new DeviceChoice.Gpu(OptionalInt.of(1)));
    assertThat(options.queueLimit()).hasValue(10);
    assertThat(options.queueBytes()).hasValue(1L << 20);
    assertThat(options.warmUp()).hasValue(false);
    assertThat(options.timeout()).hasValue(Duration.ofSeconds(2));
  }

  @Test
  void everyKeyOfBatching_isRead() {
    ModelOptions options =
        options(
            Map.of(
                "batching", "on",
                "batch-policy", "fixed",
                "latency-target", "50ms",
                "max-queue-delay", "5ms",
                "batch-sizes", List.of(8, 1),
                "device-share", 3,
                "calibration-time", "0s"));
    assertThat(options.calibrationTime()).hasValue(Duration.ZERO);
    assertThat(options.batching())
        .isEqualTo(
            new BatchingOptions(
                Optional.of(BatchingOptions.Mode.ON),
                Optional.of(BatchingOptions.Policy.FIXED),
                Optional.of(Duration.ofMillis(50)),
                Optional.of(Duration.ofMillis(5)),
                Optional.of(List.of(1, 8)),
                Optional.of(3),
                Optional.empty(),
                List.of(),
                Optional.empty()));
    assertThat(ModelOptions.none().over(options)).isEqualTo(options);
    assertThat(options.over(options(Map.of("batch-policy", "greedy"))).batching().policy())
        .hasValue(BatchingOptions.Policy.FIXED);
    assertThatThrownBy(() -> options(Map.of("latency-target", "0s")))
        .hasMessageContaining("latency-target: expected more than no time");
  }

  @Test
  void badValues_nameFileKeyAndWhatIsExpected() {
    assertThatThrownBy(() -> options(Map.of("max-batch-size", -1)))
        .isInstanceOf(InferenceException.class)
        .hasMessageStartingWith("x.yaml: max-batch-size: expected a whole number from 0");
    assertThatThrownBy(() -> options(Map.of("device", "tpu")))
        .hasMessage("x.yaml: device: expected auto, cpu, gpu or gpu:N, got 'tpu'");
    assertThatThrownBy(() -> options(Map.of("version-policy", "newest")))
        .hasMessageContaining("version-policy: expected latest, all");
    assertThatThrownBy(() -> options(Map.of("version-policy", Map.of("latest", 0))))
        .hasMessageContaining("version-policy: expected latest, all");
  }

  @Test
  void versionPolicies_areUnderstoodInOurFormAndInTritons() {
    assertThat(policy("latest")).isEqualTo(new VersionPolicy.Latest(1));
    assertThat(policy(Map.of("latest", 2))).isEqualTo(new VersionPolicy.Latest(2));
    assertThat(policy(Map.of("latest", Map.of("num_versions", "3"))))
        .isEqualTo(new VersionPolicy.Latest(3));
    assertThat(policy(Map.of("all", Map.of()))).isEqualTo(new VersionPolicy.All());
    assertThat(policy(List.of(1, "02"))).isEqualTo(new VersionPolicy.Specific(List.of("1", "2")));
    assertThat(policy(Map.of("specific", Map.of("versions", List.of(4)))))
        .isEqualTo(new VersionPolicy.Specific(List.of("4")));
  }

  private static VersionPolicy policy(Object value) {
    return options(Map.of("version-policy", value)).versionPolicy().orElseThrow();
  }

  @Test
  void versionLabels_areAMap_orAText() {
    VersionLabels labels = new VersionLabels(Map.of("stable", "3", "canary", "4"));
    assertThat(labels(Map.of("stable", 3, "canary", "04"))).isEqualTo(labels);
    assertThat(labels("stable=3, canary = 4")).isEqualTo(labels);
    assertThat(labels(labels.toString())).isEqualTo(labels);
    for (Object bad :
        List.of("stable", "=3", "a=x", "a=1,a=2", Map.of("a/b", 1), Map.of("a", "1.0"), 3)) {
      assertThatThrownBy(() -> labels(bad))
          .hasMessageContaining(
              "version-labels: expected labels and versions, as in stable=3,canary=4");
    }
  }

  private static VersionLabels labels(Object value) {
    return options(Map.of("version-labels", value)).versionLabels().orElseThrow();
  }

  @Test
  void overrides_takeTritonsKeys_andRefuseUnknownOnes() {
    ModelOptions options =
        LoadOverrides.read(
            Map.of(
                "name", "simple",
                "backend", "onnxruntime",
                "max_batch_size", "16",
                "instance_group", List.of(Map.of("count", 2), Map.of("kind", "KIND_CPU"))));
    assertThat(options.maxBatchSize()).hasValue(16);
    assertThat(options.instanceGroups())
        .containsExactly(
            InstanceGroup.onEach(new DeviceChoice.Auto(), 2, List.of()),
            InstanceGroup.onEach(new DeviceChoice.Cpu(), 1, List.of()));
    assertThat(options.backend()).hasValue("onnx");
    assertThatThrownBy(() -> LoadOverrides.read(Map.of("max_batch_sise", 1)))
        .hasMessageContaining("Invalid config override: unknown key 'max-batch-sise'");
  }

  @Test
  void maxBatchSize_isTheConfigured_elseTheDeclared_elseTheDefault() {
    assertThat(ModelLoader.maxBatchSize(8, ModelOptions.none())).isEqualTo(8);
    assertThat(ModelLoader.maxBatchSize(0, ModelOptions.none())).isZero();
    assertThat(ModelLoader.maxBatchSize(Integer.MAX_VALUE, ModelOptions.none())).isEqualTo(64);
    assertThat(ModelLoader.maxBatchSize(8, options(Map.of("max-batch-size", 4)))).isEqualTo(4);
    assertThat(ModelLoader.maxBatchSize(8, options(Map.of("max-batch-size", 0)))).isZero();
    assertThat(ModelLoader.maxBatchSize(0, options(Map.of("max-batch-size", 4)))).isEqualTo(4);
    assertThat(ModelLoader.maxBatchSize(8, options(Map.of("batching", "off")))).isZero();
  }
}

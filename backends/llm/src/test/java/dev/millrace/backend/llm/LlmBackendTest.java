package dev.millrace.backend.llm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.Device;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Servable;
import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamModel;
import dev.millrace.api.spi.UpstreamPolicy;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LlmBackendTest {
  private final LlmBackend backend = new LlmBackend();

  @TempDir Path directory;

  @Test
  void findModel_withSection_isTheFile() throws IOException {
    Path file = Files.writeString(directory.resolve("model.yaml"), "name: a\nllm:\n  retries: 1\n");

    assertThat(backend.findModel(directory)).contains(file);
  }

  @Test
  void findModel_withoutSection_isNothing() throws IOException {
    Files.writeString(directory.resolve("model.yaml"), "onnx: {}\n");

    assertThat(backend.findModel(directory)).isEmpty();
    assertThat(backend.findModel(directory.resolve("none"))).isEmpty();
  }

  @Test
  void load_ofAddresses_hasDefaults() {
    UpstreamModel model = load(Map.of("upstreams", List.of("http://a:8000/", "https://b")));

    assertThat(model.upstreams())
        .containsExactly(
            Upstream.at(URI.create("http://a:8000")), Upstream.at(URI.create("https://b")));
    assertThat(model.upstreams().get(1).port()).isEqualTo(443);
    assertThat(model.policy()).isEqualTo(UpstreamPolicy.defaults());
  }

  @Test
  void load_ofAddressesAsOpenAisClientsHaveThem_leavesTheirPathOut() {
    UpstreamModel model =
        load(Map.of("upstreams", List.of("http://a:8000/v1", "http://v1", "http://b/engine/v1/")));

    assertThat(model.upstreams().stream().map(Upstream::address))
        .containsExactly(
            URI.create("http://a:8000"), URI.create("http://v1"), URI.create("http://b/engine"));
  }

  @Test
  void load_ofEverything_isWhatWasSaid() {
    UpstreamModel model =
        load(
            Map.of(
                "model",
                "org/base",
                "upstreams",
                List.of(Map.of("url", "http://a:1", "key", "s3cret", "weight", 2)),
                "balancing",
                "prefix",
                "timeouts",
                Map.of("first-token", "0s", "gap", "5s"),
                "limits",
                Map.of("concurrency", 4, "queue", 0),
                "health",
                Map.of("path", "none", "models-path", "none"),
                "retry-on",
                List.of(429, 503),
                "aliases",
                List.of("other"),
                "loras",
                "sql",
                "fallback",
                "small"));

    assertThat(model.upstreams())
        .containsExactly(
            new Upstream(
                URI.create("http://a:1"), Optional.of("s3cret"), 2, Optional.of("org/base")));
    assertThat(model.upstreams().toString()).doesNotContain("s3cret");
    UpstreamPolicy policy = model.policy();
    assertThat(policy.balancing().choice()).isEqualTo(UpstreamPolicy.Choice.PREFIX);
    assertThat(policy.times().firstToken()).isEqualTo(Duration.ZERO);
    assertThat(policy.times().gap()).isEqualTo(Duration.ofSeconds(5));
    assertThat(policy.limits().concurrency()).isEqualTo(4);
    assertThat(policy.watch().healthPath()).isEmpty();
    assertThat(policy.watch().modelsPath()).isEmpty();
    assertThat(policy.retryOn()).containsExactlyInAnyOrder(429, 503);
    assertThat(policy.aliases()).containsExactly("other");
    assertThat(policy.adapters()).containsExactly("sql");
    assertThat(policy.fallback()).contains("small");
  }

  @Test
  void load_withSlowStart_hasIt() {
    UpstreamModel model = load(Map.of("upstreams", "http://a", "slow-start", "10s"));

    assertThat(model.policy().watch().slowStart()).isEqualTo(Duration.ofSeconds(10));
  }

  @Test
  void load_ofWhatDoesNotDo_namesKeyAndWhatWould() {
    assertThatThrownBy(() -> load(Map.of()))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("llm.upstreams: expected at least one address");
    assertThatThrownBy(() -> load(Map.of("upstreams", "localhost:8000")))
        .hasMessageContaining("llm.upstreams: expected an address such as http://");
    assertThatThrownBy(() -> load(Map.of("upstreams", "http://a", "retry-on", List.of(200))))
        .hasMessageContaining("llm.retry-on: expected statuses from 400 to 599, got '200'");
    assertThatThrownBy(() -> load(Map.of("upstreams", "http://a", "balancng", "prefix")))
        .hasMessageContaining("did you mean 'balancing'?");
  }

  private UpstreamModel load(Map<String, Object> section) {
    Servable model =
        backend.load(
            new ModelSource(
                new ModelId("chat", "1"),
                directory.resolve("model.yaml"),
                Device.CPU,
                1,
                1,
                Settings.of("model.yaml", Map.of("llm", section)).section("llm")));
    return (UpstreamModel) model;
  }
}

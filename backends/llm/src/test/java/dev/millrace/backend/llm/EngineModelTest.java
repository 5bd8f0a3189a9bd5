package dev.millrace.backend.llm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamModel;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class EngineModelTest {
  @TempDir Path directory;

  private static URI address(UpstreamModel model) {
    assertThat(model.upstreams()).hasSize(1);
    return model.upstreams().getFirst().address();
  }

  @Test
  void engine_isReadyWhenLoaded_andGoneWhenClosed() throws Exception {
    long pid;
    try (UpstreamModel model =
        EngineFixture.load(
            directory,
            EngineFixture.launch(Map.of("environment", Map.of("SCRIPTED_START", "300"))))) {
      pid = EngineFixture.pid(address(model));
      assertThat(EngineFixture.get(address(model), "/v1/models")).contains("\"id\":\"served\"");
      assertThat(model.upstreams().getFirst().model()).isEmpty();
      assertThat(EngineFixture.get(address(model), "/_scripted/process"))
          .contains("\"serve\",\"" + directory.toAbsolutePath() + "\",\"--host\",\"127.0.0.1\"")
          .contains("\"VLLM_HTTP_TIMEOUT_KEEP_ALIVE\":\"120\"")
          .contains("\"MODEL_FILES_PATH\":\"" + directory.toAbsolutePath() + "\"")
          .contains("\"DEPLOYMENT_NAME\":\"served\"");
      assertThat(EngineFixture.isAlive(pid)).isTrue();
    }
    assertThat(EngineFixture.isAlive(pid)).isFalse();
  }

  @Test
  void engine_isStartedWithTheOptionsOfItsConfiguration() throws Exception {
    Files.writeString(
        directory.resolve("engine.yaml"),
        """
        served_model_name: [a, b]
        api-key: secret
        enable-lora: true
        lora-modules:
          - sql=/adapters/sql
          - {name: poem, path: /adapters/poem}
        enable-chunked-prefill: false
        port: 1
        """);
    try (UpstreamModel model =
        EngineFixture.load(
            directory,
            EngineFixture.launch(
                Map.of("config", "engine.yaml", "options", Map.of("max-model-len", 512))))) {
      Upstream upstream = model.upstreams().getFirst();

      assertThat(upstream.model()).contains("a");
      assertThat(upstream.key()).contains("secret");
      assertThat(model.policy().adapters()).containsExactly("sql", "poem");
      assertThat(EngineFixture.get(upstream.address(), "/_scripted/process"))
          .contains("\"--enable-chunked-prefill\",\"False\"") // the version was asked: 0.7.1
          .contains("\"--max-model-len\",\"512\"")
          .doesNotContain("\"--port\",\"1\"");
    }
  }

  @Test
  void engine_thatEnds_isStartedAgain() throws Exception {
    try (UpstreamModel model = EngineFixture.load(directory, EngineFixture.launch(Map.of()))) {
      URI first = address(model);
      long pid = EngineFixture.pid(first);

      ProcessHandle.of(pid).orElseThrow().destroyForcibly();

      while (model.upstreams().isEmpty() || address(model).equals(first)) {
        TimeUnit.MILLISECONDS.sleep(10);
      }
      assertThat(EngineFixture.pid(address(model))).isNotEqualTo(pid);
    }
  }

  @Test
  void engine_isEndedWhenItsGuardIsKilled() throws Exception {
    try (UpstreamModel model = EngineFixture.load(directory, EngineFixture.launch(Map.of()))) {
      URI first = address(model);
      long pid = EngineFixture.pid(first);

      ProcessHandle.of(((EngineModel) model).pid()).orElseThrow().destroyForcibly();

      while (model.upstreams().isEmpty() || address(model).equals(first)) {
        TimeUnit.MILLISECONDS.sleep(10);
      }
      while (EngineFixture.isAlive(pid)) {
        TimeUnit.MILLISECONDS.sleep(10);
      }
    }
  }

  @Test
  void engine_thatFails_saysWhy() {
    assertThatThrownBy(() ->
            EngineFixture.load(
                directory,
                EngineFixture.launch(Map.of("environment", Map.of("SCRIPTED_FAIL", "3")))))
        .isInstanceOfSatisfying(
            InferenceException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION))
        .hasMessageContaining("ended (exit status 3) before it was ready; it said last:")
        .hasMessageContaining("ValueError: scripted to fail at the start");
  }

  @Test
  void engine_thatIsNotInTime_isGivenUp() {
    assertThatThrownBy(() ->
            EngineFixture.load(
                directory,
                EngineFixture.launch(
                    Map.of(
                        "ready-timeout",
                        "1s",
                        "stop-timeout",
                        "1s",
                        "environment",
                        Map.of("SCRIPTED_START", "100000")))))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("was not ready after 1 s");
  }

  @Test
  void command_thatIsNotThere_isNamed() {
    assertThatThrownBy(
            () -> EngineFixture.load(directory, Map.of("command", "no-such-engine serve {model}")))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("before it was ready")
        .hasMessageContaining("no-such-engine");
  }

  @Test
  void launch_withUpstreams_isRefused() {
    assertThatThrownBy(() ->
            LlmSettings.read(
                dev.millrace.api.Settings.of(
                    "model.yaml", Map.of("upstreams", List.of("http://a"), "launch", Map.of()))))
        .hasMessageContaining("either upstreams or launch");
  }

  @Test
  void findModel_ofADeploymentWithoutScript_isItsDirectory() throws IOException {
    Path files = Files.createDirectory(directory.resolve("files"));
    Path config = Files.writeString(directory.resolve("engine.yaml"), "dtype: half\n");
    Map<String, String> deployed =
        Map.of("MODEL_FILES_PATH", files.toString(), "CONFIG_FILE_PATH", config.toString());
    Map<String, String> scripted =
        Map.of(
            "MODEL_FILES_PATH",
            files.toString(),
            "CONFIG_FILE_PATH",
            config.toString(),
            "SCRIPT_PATH",
            "predictor.py");

    assertThat(new LlmBackend(deployed).findModel(files)).contains(files);
    assertThat(new LlmBackend(deployed).precedence(files)).isNegative();
    assertThat(new LlmBackend(deployed).findModel(directory)).isEmpty();
    assertThat(new LlmBackend(scripted).findModel(files)).isEmpty();
    Files.createFile(files.resolve("config.json"));
    assertThat(new LlmBackend(deployed).precedence(files)).isEqualTo(2);
  }
}

package dev.millrace.backend.llm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EngineOptionsTest {
  private static final EngineVersion EARLY = EngineVersion.of("0.7.1");
  private static final EngineVersion LATE = EngineVersion.of("0.24.0");

  @TempDir Path directory;

  private EngineOptions read(String yaml) throws IOException {
    return EngineOptions.read(Files.writeString(directory.resolve("engine.yaml"), yaml));
  }

  @Test
  void values_areArgumentsOfBothVersions() throws IOException {
    EngineOptions options =
        read(
            """
            max_model_len: 4096
            gpu-memory-utilization: 0.9
            enable-auto-tool-choice: true
            chat-template: "{{ messages }}"
            served-model-name:
              - a
              - b
            allowed-origins: ["*"]
            compilation-config: {level: 3, sizes: [1, 2], "quo\\"te": null}
            nothing:
            """);

    List<String> expected =
        List.of(
            "--max-model-len",
            "4096",
            "--gpu-memory-utilization",
            "0.9",
            "--enable-auto-tool-choice",
            "--chat-template",
            "{{ messages }}",
            "--served-model-name",
            "a",
            "b",
            "--allowed-origins",
            "[\"*\"]",
            "--compilation-config",
            "{\"level\": 3, \"sizes\": [1, 2], \"quo\\\"te\": null}");
    assertThat(options.arguments(EARLY, Set.of())).isEqualTo(expected);
    assertThat(options.arguments(LATE, Set.of())).isEqualTo(expected);
  }

  @Test
  void false_isLeftOutEarlyAndNegatedLate() throws IOException {
    EngineOptions options =
        read("enable_prefix_caching: false\nenable-chunked-prefill: false\nheadless: false\n");

    assertThat(options.arguments(EARLY, Set.of()))
        .containsExactly("--enable-chunked-prefill", "False");
    assertThat(options.arguments(LATE, Set.of()))
        .containsExactly("--no-enable-prefix-caching", "--no-enable-chunked-prefill");
  }

  @Test
  void adapters_areNamedInEveryForm() {
    assertThat(EngineOptions.of(Map.of("lora_modules", "sql=/p")).adapters())
        .containsExactly("sql");
    assertThat(
            EngineOptions.of(Map.of("lora-modules", "{\"name\":\"x\",\"path\":\"/p\"}")).adapters())
        .containsExactly("x");
    assertThat(EngineOptions.of(Map.of("lora-modules", List.of("a=/p", "b=/q"))).adapters())
        .containsExactly("a", "b");
    assertThat(EngineOptions.of(Map.of()).adapters()).isEmpty();
  }

  @Test
  void file_thatIsNone_isNamed() {
    assertThatThrownBy(() -> read("- a\n- b\n"))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("engine.yaml: expected options of the engine");
    assertThatThrownBy(() -> read("a: [1\n"))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("engine.yaml");
  }

  @Test
  void version_isFoundInWhatTheEngineSays() {
    assertThat(EngineVersion.of("INFO importing\n0.7.1\n").isEarly()).isTrue();
    assertThat(EngineVersion.of("vllm 0.8.5.post1").isEarly()).isTrue();
    assertThat(EngineVersion.of("0.9.0rc1").isEarly()).isFalse();
    assertThat(EngineVersion.of("1.0.0").isEarly()).isFalse();
    assertThat(EngineVersion.of("main")).isEqualTo(EngineVersion.NEWEST);
    assertThat(EngineVersion.ask(List.of("no-such-engine", "serve"), Map.of()))
        .isEqualTo(EngineVersion.NEWEST);
  }
}

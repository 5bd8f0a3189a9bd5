package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class YamlFileTest {
  @TempDir private Path root;

  private Settings read(String text) throws IOException {
    return YamlFile.read(Trees.write(root, "x.yaml", text));
  }

  @Test
  void values_areReadAsSettings() throws IOException {
    Settings settings = read("timeout: 10ms\nsize: 64MB\nlist: [1, 2]\nsection: {key: on}\n");
    assertThat(settings.duration("timeout")).hasValue(Duration.ofMillis(10));
    assertThat(settings.size("size")).hasValue(64L << 20);
    assertThat(settings.list("list")).containsExactly(1, 2);
    assertThat(settings.section("section").string("key")).hasValue("on");
  }

  @Test
  void emptyFile_hasNoSettings() throws IOException {
    assertThat(read("").keys()).isEmpty();
    assertThat(read("# nothing\n").keys()).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a: 1\na: 2",
        "a: [1",
        "just a text",
        "- a",
        "a: !!java.util.Date 1",
        "a: 1\n---\nb: 2"
      })
  void badFile_isRefusedByName(String text) {
    assertThatThrownBy(() -> read(text))
        .isInstanceOfSatisfying(
            InferenceException.class,
            e -> {
              assertThat(e.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
              assertThat(e).hasMessageStartingWith(root.resolve("x.yaml") + ": ");
            });
  }

  @Test
  void syntaxError_namesTheLine() {
    assertThatThrownBy(() -> read("a: 1\nb: [1\nc: 2")).hasMessageContaining("line 3");
  }

  @Test
  void deepNesting_isRefused() {
    assertThatThrownBy(() -> read("a: " + "[".repeat(10_000) + "]".repeat(10_000)))
        .hasMessageContaining("nested deeper than 50 levels");
  }

  @Test
  void manyAliases_areRefused() {
    StringBuilder text = new StringBuilder("a0: &a0 [x]\n");
    for (int i = 1; i < 70; i++) {
      text.append("a%d: &a%d [*a%d, *a%d]\n".formatted(i, i, i - 1, i - 1));
    }
    assertThatThrownBy(() -> read(text.toString())).isInstanceOf(InferenceException.class);
  }

  @Test
  void longFile_isRefused() {
    assertThatThrownBy(() -> read("#".repeat((1 << 20) + 1))).hasMessageContaining("longer than");
  }

  @Test
  void missingFile_isRefused() {
    assertThatThrownBy(() -> YamlFile.read(root.resolve("gone.yaml")))
        .hasMessageEndingWith("gone.yaml: cannot be read: it does not exist");
  }

  @Test
  void directoryOrBytes_areRefused() throws IOException {
    Path bytes = Files.write(root.resolve("bytes.yaml"), new byte[] {'a', (byte) 0xFF});

    assertThatThrownBy(() -> YamlFile.read(bytes))
        .hasMessage(bytes + ": cannot be read: it is not text in UTF-8");
    assertThatThrownBy(() -> YamlFile.read(root))
        .hasMessage(root + ": cannot be read: Is a directory");
  }
}

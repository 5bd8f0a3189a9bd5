package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.runtime.ModelOptions;
import dev.millrace.server.Setting.Group;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;

class ConfigurationPageTest {
  private static final String COMMAND =
      "mvn -pl server -am test -Dtest=ConfigurationPageTest"
          + " -Dsurefire.failIfNoSpecifiedTests=false -Dmillrace.write-docs=true";

  @Test
  void page_isWhatTheCodeSays() throws IOException {
    Path page = Path.of("..", "docs", "configuration.md");
    if (Boolean.getBoolean("millrace.write-docs")) {
      Files.createDirectories(page.getParent());
      Files.writeString(page, ConfigurationPage.text());
    }
    assertThat(Files.exists(page) ? Files.readString(page) : "")
        .as("docs/configuration.md; to write it again: %s", COMMAND)
        .isEqualTo(ConfigurationPage.text());
  }

  @Test
  void settingsOfModels_areTheKeysThatTheRuntimeReads() {
    List<String> documented = new ArrayList<>();
    ServerSettings.ALL.stream()
        .filter(setting -> setting.group() == Group.MODEL)
        .forEach(setting -> documented.add(setting.key()));
    documented.add("instance-groups");
    documented.add("padding");
    documented.add("logger");

    Settings settings = Settings.of("test", Map.of("?", "unknown"));
    ModelOptions.read(settings);
    Throwable refusal = Assertions.catchThrowable(settings::rejectUnknown);

    assertThat(refusal).isInstanceOf(InferenceException.class);
    String known = String.valueOf(refusal.getMessage()).replaceAll(".*known are ", "");
    assertThat(known.split(", ")).containsExactlyInAnyOrderElementsOf(documented);
  }

  @Test
  void defaults_areWrittenAsTheyAreRead() {
    for (Setting<?> setting : ServerSettings.ALL) {
      assertReadsItsOwnDefault(setting);
    }
  }

  private static <T> void assertReadsItsOwnDefault(Setting<T> setting) {
    setting
        .fallback()
        .ifPresent(value -> {
          Settings settings = Settings.of("test", Map.of("key", setting.fallbackText()));
          assertThat(setting.type().reader().apply(settings, "key"))
              .as(setting.key())
              .contains(value);
        });
  }
}

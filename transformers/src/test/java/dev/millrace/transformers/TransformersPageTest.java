package dev.millrace.transformers;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.TransformerFactory;
import dev.millrace.api.spi.TransformerSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The part of {@code docs/transformers.md} that lists the steps and their options. */
class TransformersPageTest {
  private static final Path PAGE = Path.of("..", "docs", "transformers.md");
  private static final String START =
      "<!-- Made from the code, from here: TransformersPageTest. -->\n";
  private static final String END = "<!-- Made from the code, to here. -->\n";
  private static final String COMMAND =
      "mvn -pl transformers -am test -Dtest=TransformersPageTest"
          + " -Dsurefire.failIfNoSpecifiedTests=false -Dmillrace.write-docs=true";

  private static List<StepKind> kinds() {
    return ServiceLoader.load(TransformerFactory.class).stream()
        .map(ServiceLoader.Provider::get)
        .filter(StepKind.class::isInstance)
        .map(StepKind.class::cast)
        .sorted(Comparator.comparing(StepKind::name))
        .toList();
  }

  private static String section(StepKind kind) {
    StringBuilder text = new StringBuilder("### %s\n\n%s\n".formatted(kind.name(), kind.summary()));
    text.append("\n```yaml\n").append(kind.example()).append("```\n");
    text.append("\n| option | value | default | what it does |\n|---|---|---|---|\n");
    for (StepKind.Option option : kind.options()) {
      text.append(
          "| `%s` | %s | %s | %s |\n"
              .formatted(option.key(), option.values(), option.usual(), option.does()));
    }
    return text.append('\n').toString();
  }

  @Test
  void page_isWhatTheCodeSays() throws IOException {
    String page = Files.readString(PAGE);
    int start = page.indexOf(START) + START.length();
    int end = page.indexOf(END);
    assertThat(page).contains(START, END);
    StringBuilder sections = new StringBuilder("\n");
    kinds().forEach(kind -> sections.append(section(kind)));
    if (Boolean.getBoolean("millrace.write-docs")) {
      Files.writeString(PAGE, page.substring(0, start) + sections + page.substring(end));
      return;
    }
    assertThat(page.substring(start, end))
        .as("docs/transformers.md; to write it again: %s", COMMAND)
        .isEqualTo(sections.toString());
  }

  /** The least that the kinds want which do nothing without options. */
  private static final Map<String, Map<String, Object>> LEAST =
      Map.of(
          "labels", Map.of("labels", List.of("a")),
          "select", Map.of("outputs", List.of("x")),
          "columns", Map.of("results", List.of("x")));

  @Test
  void options_areThoseThatTheStepsRead(@TempDir Path directory) throws IOException {
    TokenizerTest.unpackTo(directory);
    for (StepKind kind : kinds()) {
      Map<String, Object> options = new HashMap<>(LEAST.getOrDefault(kind.name(), Map.of()));
      options.put("?????????", "unknown");
      Settings settings = Settings.of("test", options);
      kind.create(new TransformerSource(new ModelId("m", "1"), List.of(directory), settings))
          .close();
      String known =
          requireNonNull(Assertions.catchThrowable(settings::rejectUnknown).getMessage())
              .replaceAll(".*known are ", "");
      assertThat(known.split(", ", -1))
          .as(kind.name())
          .containsExactlyInAnyOrderElementsOf(
              kind.options().stream().map(StepKind.Option::key).toList());
    }
  }
}

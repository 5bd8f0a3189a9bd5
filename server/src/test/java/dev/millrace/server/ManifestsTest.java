package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import picocli.CommandLine;

/** The files under {@code distribution} that start Millrace in Kubernetes. */
class ManifestsTest {
  private static final Path DISTRIBUTION = Path.of("../distribution");

  static List<Path> manifests() throws IOException {
    try (Stream<Path> files = Files.walk(DISTRIBUTION, 2)) {
      return files.filter(file -> file.toString().endsWith(".yaml")).sorted().toList();
    }
  }

  @Test
  void manifests_areThere() throws IOException {
    assertThat(manifests()).hasSize(5);
  }

  @ParameterizedTest
  @MethodSource("manifests")
  void manifest_isYaml(Path manifest) {
    assertThat(documents(manifest))
        .isNotEmpty()
        .allSatisfy(document ->
            assertThat(document.keySet().stream().map(String::valueOf))
                .contains("apiVersion", "kind", "metadata", "spec"));
  }

  @ParameterizedTest
  @MethodSource("manifests")
  void argumentsInAManifest_areTheCommandLines(Path manifest) {
    Set<String> flags =
        ServerSettings.ALL.stream().map(Setting::flag).collect(Collectors.toUnmodifiableSet());
    for (List<String> raw : arguments(documents(manifest))) {
      Arguments arguments = Arguments.of(raw, flags);

      assertThat(arguments.warnings()).isEmpty();
      assertThat(
              new CommandLine(CommandSpecs.millrace())
                  .parseArgs(arguments.list().toArray(String[]::new))
                  .hasSubcommand())
          .isTrue();
    }
  }

  private static List<Map<?, ?>> documents(Path manifest) {
    try {
      List<Map<?, ?>> documents = new ArrayList<>();
      new Load(LoadSettings.builder().build())
          .loadAllFromString(Files.readString(manifest))
          .forEach(document -> documents.add((Map<?, ?>) document));
      return documents;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The value of each {@code args}, however deep. */
  private static List<List<String>> arguments(Object node) {
    List<List<String>> found = new ArrayList<>();
    if (node instanceof List<?> list) {
      list.forEach(item -> found.addAll(arguments(item)));
    } else if (node instanceof Map<?, ?> map) {
      map.forEach((key, value) -> {
        if (key.equals("args") && value instanceof List<?> list) {
          found.add(list.stream().map(String::valueOf).toList());
        } else {
          found.addAll(arguments(value));
        }
      });
    }
    return found;
  }
}

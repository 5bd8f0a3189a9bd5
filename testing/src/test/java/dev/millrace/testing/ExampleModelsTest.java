package dev.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExampleModelsTest {
  /** Surefire runs tests in the module's directory. */
  private static final Path EXAMPLES = Path.of("..", "examples");

  @Test
  void committedModels_areWhatTheGeneratorWrites() throws IOException {
    for (Map.Entry<String, byte[]> file : ExampleModels.files().entrySet()) {
      assertThat(EXAMPLES.resolve(file.getKey())).hasBinaryContent(file.getValue());
    }
  }

  @Test
  void main_writesAllFiles(@TempDir Path directory) throws IOException {
    ExampleModels.main(new String[] {directory.toString()});
    for (Map.Entry<String, byte[]> file : ExampleModels.files().entrySet()) {
      assertThat(Files.readAllBytes(directory.resolve(file.getKey()))).isEqualTo(file.getValue());
    }
  }
}

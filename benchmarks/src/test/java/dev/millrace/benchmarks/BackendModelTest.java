package dev.millrace.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Shape;
import dev.millrace.api.TensorMap;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class BackendModelTest {
  @ParameterizedTest
  @EnumSource
  void write_modelIsFoundByItsName(BackendModel model, @TempDir Path repository)
      throws IOException {
    model.write(repository);
    assertThat(model.directory(repository)).isNotEmptyDirectory();
    assertThat(BackendModel.of(model.servedName())).isEqualTo(model);
    assertThat(model.backend()).isIn("tensorflow", "pytorch");
  }

  @ParameterizedTest
  @EnumSource
  void rows_areAllTheFirst(BackendModel model) {
    try (TensorMap one = model.rows(1);
        TensorMap three = model.rows(3)) {
      float[] first = one.tensor(0).toFloats();
      float[] all = three.tensor(0).toFloats();
      assertThat(three.tensor(0).shape()).isEqualTo(Shape.of(3, first.length));
      for (int i = 0; i < all.length; i++) {
        assertThat(all[i]).isEqualTo(first[i % first.length]);
      }
    }
  }

  @Test
  void pytorch_declaresWhatItsFileDoesNotSay(@TempDir Path repository) throws IOException {
    BackendModel.PYTORCH.write(repository);
    assertThat(repository.resolve("pytorch").resolve("model.yaml"))
        .hasContent(
            "pytorch: {inputs: [{datatype: FP32, name: INPUT0, shape: [-1, 32]}], "
                + "outputs: [{datatype: FP32, name: OUTPUT0, shape: [-1, 32]}]}");
    try (ZipFile script =
        new ZipFile(BackendModel.PYTORCH.directory(repository).resolve("model.pt").toFile())) {
      assertThat(script.getEntry("dense/data/1").getSize()).isEqualTo(240 * 240 * 4);
    }
    assertThat(Files.size(BackendModel.PYTORCH.directory(repository).resolve("model.pt")))
        .isGreaterThan(240 * 240 * 4);
  }
}

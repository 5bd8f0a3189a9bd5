package dev.millrace.backend.onnx;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.file.Path;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a model declares; that its values come back is in {@link OnnxContractTest}. */
@ExtendWith(TensorLeakExtension.class)
class OnnxDatatypesTest {
  @TempDir Path directory;

  @ParameterizedTest
  @EnumSource(DataType.class)
  void everyDatatype_isDeclared(DataType type) {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.identity(type, -1, "n", 3))) {
      TensorSpec input = new TensorSpec("INPUT0", type, Shape.of(-1, -1, 3));
      assertThat(onnx.model.metadata().inputs()).containsExactly(input);
      assertThat(onnx.model.metadata().outputs())
          .containsExactly(new TensorSpec("OUTPUT0", type, input.shape()));
    }
  }
}

package dev.millrace.backend.tensorflow;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A tensor forgotten in each run would be far above the bound; what the heap grows is below. */
@EnabledOnOs(OS.LINUX)
@ExtendWith(TensorLeakExtension.class)
class TensorFlowMemoryTest {
  private static final long BOUND = 256 << 20;

  @TempDir Path directory;

  @Test
  void runs_leaveNoMemoryBehind() throws IOException {
    float[] values = new float[64 * 1024];
    try (TensorFlowFixture model =
        TensorFlowFixture.of(directory, SavedModels.identity(DataType.FP32, Shape.of(-1, 1024)))) {
      long before = 0;
      for (int i = 0; i < 10_000; i++) {
        if (i == 1_000) {
          before = residentBytes();
        }
        Tensor input = Tensor.copyOf(Shape.of(64, 1024), values);
        model.predict(TensorMap.of("INPUT0", input)).close();
      }
      assertThat(residentBytes() - before).isLessThan(BOUND);
    }
  }

  @Test
  void strings_leaveNoMemoryBehind() throws IOException {
    String[] texts = new String[16];
    Arrays.fill(texts, "x".repeat(16 * 1024));
    try (TensorFlowFixture model =
        TensorFlowFixture.of(directory, SavedModels.identity(DataType.BYTES, Shape.of(-1)))) {
      long before = 0;
      for (int i = 0; i < 4_000; i++) {
        if (i == 1_000) {
          before = residentBytes();
        }
        Tensor input = Tensor.copyOf(Shape.of(16), texts);
        model.predict(TensorMap.of("INPUT0", input)).close();
      }
      assertThat(residentBytes() - before).isLessThan(BOUND);
    }
  }

  @Test
  void failedRuns_leaveNoMemoryBehind() throws IOException {
    SavedModelWriter graph =
        new SavedModelWriter()
            .placeholder("x", DataType.BYTES, Shape.of(-1))
            .node("y", "StringToNumber", List.of("x"), Map.of("out_type", DataType.FP32))
            .signature(
                SavedModels.DEFAULT,
                signature ->
                    signature
                        .input("X", "x:0", DataType.BYTES, Shape.of(-1))
                        .output("Y", "y:0", DataType.FP32, Shape.of(-1)));
    String[] bad = new String[16];
    Arrays.fill(bad, "x".repeat(16 * 1024));
    try (TensorFlowFixture model = TensorFlowFixture.of(directory, graph)) {
      long before = 0;
      for (int i = 0; i < 4_000; i++) {
        if (i == 1_000) {
          before = residentBytes();
        }
        TensorMap inputs = TensorMap.of("X", Tensor.copyOf(Shape.of(16), bad));
        assertThatThrownBy(() -> model.predict(inputs)).isInstanceOf(InferenceException.class);
      }
      assertThat(residentBytes() - before).isLessThan(BOUND);
    }
  }

  @Test
  void loadingAgain_leavesNoMemoryBehind() throws IOException {
    float[] weights = new float[512 * 1024];
    Arrays.fill(weights, 0.5f);
    Path saved =
        new SavedModelWriter()
            .placeholder("x", DataType.FP32, Shape.of(-1, 512))
            .constant("w", SavedModelWriter.floats(Shape.of(512, 1024), weights))
            .node("y", "MatMul", List.of("x", "w"), Map.of("T", DataType.FP32))
            .signature(
                SavedModels.DEFAULT,
                signature ->
                    signature
                        .input("X", "x:0", DataType.FP32, Shape.of(-1, 512))
                        .output("Y", "y:0", DataType.FP32, Shape.of(-1, 1024)))
            .write(directory);
    long before = 0;
    for (int i = 0; i < 300; i++) {
      if (i == 100) {
        before = residentBytes();
      }
      try (TensorFlowFixture model = TensorFlowFixture.of(saved)) {
        model.predict(TensorMap.of("X", Tensor.copyOf(Shape.of(1, 512), new float[512]))).close();
      }
    }
    assertThat(residentBytes() - before).isLessThan(BOUND);
  }

  private static long residentBytes() throws IOException {
    String pages = Files.readString(Path.of("/proc/self/statm")).split(" ", -1)[1];
    return Long.parseLong(pages) * 4096;
  }
}

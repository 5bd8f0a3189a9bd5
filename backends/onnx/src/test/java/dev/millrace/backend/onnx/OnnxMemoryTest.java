package dev.millrace.backend.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A value forgotten in each run would be far above the bound; what the heap grows is below. */
@EnabledOnOs(OS.LINUX)
@ExtendWith(TensorLeakExtension.class)
class OnnxMemoryTest {
  private static final long BOUND = 256 << 20;

  @TempDir Path directory;

  @Test
  void runs_leaveNoMemoryBehind() throws IOException {
    float[] values = new float[64 * 1024];
    try (OnnxFixture onnx =
        OnnxFixture.of(directory, OnnxModels.identity(DataType.FP32, -1, 1024))) {
      long before = 0;
      for (int i = 0; i < 10_000; i++) {
        if (i == 1_000) {
          before = residentBytes();
        }
        Tensor input = Tensor.copyOf(Shape.of(64, 1024), values);
        onnx.predict(TensorMap.of("INPUT0", input)).close();
      }
      assertThat(residentBytes() - before).isLessThan(BOUND);
    }
  }

  @Test
  void failedRunsAndTexts_leaveNoMemoryBehind() throws IOException {
    String text = "x".repeat(16 * 1024);
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.simpleString())) {
      String[] bad = new String[16];
      Arrays.fill(bad, text);
      long before = 0;
      for (int i = 0; i < 3_000; i++) {
        if (i == 1_000) {
          before = residentBytes();
        }
        TensorMap inputs =
            TensorMap.of(
                "INPUT0", Tensor.copyOf(Shape.of(1, 16), bad),
                "INPUT1", Tensor.copyOf(Shape.of(1, 16), bad));
        assertThatThrownBy(() -> onnx.predict(inputs)).isInstanceOf(InferenceException.class);
      }
      assertThat(residentBytes() - before).isLessThan(BOUND);
    }
  }

  @Test
  void loadingAgain_leavesNoMemoryBehind() throws IOException {
    Path file = OnnxFixture.write(directory, OnnxModels.perceptron(512, 1024, 16));
    long before = 0;
    for (int i = 0; i < 150; i++) {
      if (i == 50) {
        before = residentBytes();
      }
      OnnxFixture.load(file, Map.of()).close();
    }
    assertThat(residentBytes() - before).isLessThan(BOUND);
  }

  private static long residentBytes() throws IOException {
    String pages = Files.readString(Path.of("/proc/self/statm")).split(" ", -1)[1];
    return Long.parseLong(pages) * 4096;
  }
}

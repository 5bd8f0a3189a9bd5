package dev.millrace.backend.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.extension.ExtendWith;

/** A tensor forgotten in each run would be far above the bound; what the heap grows is below. */
@EnabledOnOs(OS.LINUX)
@ExtendWith(TensorLeakExtension.class)
class PyTorchMemoryTest {
  private static final long BOUND = 256 << 20;
  private static final Shape QUARTER_MEGABYTE = Shape.of(64, 1024);

  private final float[] values = new float[64 * 1024];

  @AfterEach
  void nothingOfTheEngine_isLeftOpen() {
    assertThat(PyTorchEngine.openScopes()).isZero();
    assertThat(PyTorchEngine.manager().getManagedArrays()).isEmpty();
  }

  @Test
  void runs_leaveNoMemoryBehind() throws IOException {
    assertFlat("listed");
  }

  @Test
  void runsOfAScriptThatWritesToItsInput_leaveNoMemoryBehind() throws IOException {
    assertFlat("inplace");
  }

  @Test
  void runsWithADictAsResult_leaveNoMemoryBehind() throws IOException {
    assertFlat("named");
  }

  private void assertFlat(String model) throws IOException {
    try (PyTorchFixture torch = PyTorchFixture.of(model)) {
      long before = 0;
      for (int i = 0; i < 4_000; i++) {
        if (i == 500) {
          before = residentBytes();
        }
        torch.predict(TensorMap.of("x", Tensor.copyOf(QUARTER_MEGABYTE, values))).close();
      }
      assertThat(residentBytes() - before).isLessThan(BOUND);
    }
  }

  @Test
  void failedRuns_leaveNoMemoryBehind() throws IOException {
    for (String model : new String[] {"strict", "number"}) {
      try (PyTorchFixture torch = PyTorchFixture.of(model)) {
        long before = 0;
        for (int i = 0; i < 3_000; i++) {
          if (i == 500) {
            before = residentBytes();
          }
          TensorMap inputs = TensorMap.of("x", Tensor.copyOf(QUARTER_MEGABYTE, values));
          assertThatThrownBy(() -> torch.predict(inputs)).isInstanceOf(InferenceException.class);
        }
        assertThat(residentBytes() - before).isLessThan(BOUND);
      }
    }
  }

  @Test
  void loadingAgain_leavesNoMemoryBehind() throws IOException {
    Path file = PyTorchFixture.file("digits.pt");
    long before = 0;
    for (int i = 0; i < 600; i++) {
      if (i == 100) {
        before = residentBytes();
      }
      PyTorchFixture.load(file, Map.of()).close();
    }
    assertThat(residentBytes() - before).isLessThan(64 << 20);
  }

  private static long residentBytes() throws IOException {
    String pages = Files.readString(Path.of("/proc/self/statm")).split(" ", -1)[1];
    return Long.parseLong(pages) * 4096;
  }
}

package dev.millrace.benchmarks.known;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.Device;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class KnownModelTest {
  private final KnownBackend backend = new KnownBackend();

  @Test
  void predict_takesAsLongAsTheCurveSays() {
    load(Map.of("fixed", "5ms", "per-row", "1ms"));
    KnownModel model = backend.model("known");
    try (Predictor predictor = model.newPredictor();
        TensorMap row = KnownModel.row(3)) {
      long start = System.nanoTime();
      predictor.predict(row, List.of()).close();
      assertThat(System.nanoTime() - start).isGreaterThanOrEqualTo(6_000_000);
      assertThat(model.deviceNanos()).isGreaterThanOrEqualTo(6_000_000);
      model.slowDown(2);
      predictor.predict(row, List.of()).close();
      assertThat(model.deviceNanos()).isGreaterThanOrEqualTo(18_000_000);
      assertThat(model.runs()).isEqualTo(2);
      assertThat(model.rows()).isEqualTo(2);
    }
  }

  @Test
  void predict_poison_fails() {
    load(Map.of("fixed", "1us", "work", "spin", "device", "parallel"));
    try (Predictor predictor = backend.model("known").newPredictor();
        TensorMap row = KnownModel.row(KnownModel.POISON)) {
      assertThatThrownBy(() -> predictor.predict(row, List.of()))
          .isInstanceOf(InferenceException.class)
          .hasMessage("row 0 is poison");
    }
  }

  @Test
  void curve_shapes() {
    assertThat(curve("affine").nanos(5)).isEqualTo(1_000_000 + 500_000);
    assertThat(curve("knee").nanos(5)).isEqualTo(1_000_000);
    assertThat(curve("knee").nanos(50)).isEqualTo(5_000_000);
    assertThat(curve("padded").nanos(1)).isEqualTo(1_100_000);
    assertThat(curve("padded").nanos(5)).isEqualTo(1_000_000 + 800_000);
    assertThat(curve("padded").nanos(8)).isEqualTo(1_000_000 + 800_000);
    LatencyCurve affine = LatencyCurve.affine(Duration.ofMillis(1), Duration.ofMillis(1));
    assertThat(affine.rowsPerSecond(4)).isEqualTo(800);
  }

  @Test
  void curve_withoutTime_isRefused() {
    assertThatThrownBy(() -> load(Map.of("shape", "knee")))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("per-row")
        .hasMessageContaining("expected a time");
    assertThatThrownBy(() -> load(Map.of("fixd", "1ms", "per-row", "1ms")))
        .hasMessageContaining("did you mean 'fixed'?");
  }

  private static LatencyCurve curve(String shape) {
    return LatencyCurve.read(
        Settings.of("test", Map.of("shape", shape, "fixed", "1ms", "per-row", "100us")));
  }

  private void load(Map<String, Object> settings) {
    backend.load(
        new ModelSource(
            ModelId.latest("known"),
            Path.of("model.known"),
            Device.CPU,
            1,
            1,
            Settings.of("test", settings)));
  }
}

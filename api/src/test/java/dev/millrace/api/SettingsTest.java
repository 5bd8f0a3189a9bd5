package dev.millrace.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SettingsTest {
  @Test
  void values_areReadInTheirUnits() {
    Settings settings =
        Settings.of(
            "model.yaml",
            Map.of(
                "delay",
                "1.5ms",
                "body",
                "64MB",
                "rows",
                8,
                "on",
                true,
                "list",
                List.of(1, 2),
                "kind",
                "GPU"));
    assertThat(settings.duration("delay")).contains(Duration.ofNanos(1_500_000));
    assertThat(settings.size("body")).contains(64L << 20);
    assertThat(settings.integer("rows", 1, 10)).contains(8);
    assertThat(settings.bool("on")).contains(true);
    assertThat(settings.list("list")).containsExactly(1, 2);
    assertThat(settings.oneOf("kind", Device.Kind.class)).contains(Device.Kind.GPU);
    assertThat(settings.string("absent")).isEmpty();
    settings.rejectUnknown();
  }

  @Test
  void badValue_namesFileKeyAndExpectation() {
    Settings onnx =
        Settings.of("model.yaml", Map.of("onnx", Map.of("threads", "many", "wait", "10")))
            .section("onnx");
    assertThatThrownBy(() -> onnx.integer("threads", 1, 64))
        .hasMessage("model.yaml: onnx.threads: expected a whole number from 1 to 64, got 'many'");
    assertThatThrownBy(() -> onnx.duration("wait"))
        .hasMessage(
            "model.yaml: onnx.wait: expected a time span with a unit, as in 10ms, 2s or 5m, got '10'");
    assertThatThrownBy(() -> onnx.section("threads")).hasMessageContaining("a section");
    assertThatThrownBy(() -> onnx.oneOf("threads", Device.Kind.class))
        .hasMessageContaining("one of cpu, gpu");
  }

  @Test
  void unknownKey_namesTheNearestRightOne() {
    Settings settings = Settings.of("millrace.yaml", Map.of("max-bach-size", 8));
    assertThat(settings.integer("max-batch-size", 0, 100)).isEmpty();
    assertThat(settings.string("name")).isEmpty();
    assertThatThrownBy(settings::rejectUnknown)
        .hasMessage("millrace.yaml: unknown key 'max-bach-size'; did you mean 'max-batch-size'?");
  }

  @Test
  void unknownKey_farFromAll_listsTheKnownOnes() {
    Settings settings = Settings.of("f", Map.of("s", Map.of("zzzzzz", 1)));
    assertThat(settings.section("s").string("port")).isEmpty();
    assertThatThrownBy(settings::rejectUnknown)
        .hasMessage("f: unknown key 's.zzzzzz'; known are port");
  }
}

package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.batcher.policy.LatencySample;
import dev.millrace.runtime.CalibrationCache.Entry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CalibrationCacheTest {
  private static final Entry ENTRY =
      new Entry(
          "metadata = of the model: x",
          2,
          3,
          false,
          "off: output 'é' changes",
          List.of(new LatencySample(4, 1, 81_234), new LatencySample(4, 64, 5_149_000)));

  @TempDir private Path root;

  private CalibrationCache cache() {
    return new CalibrationCache(Optional.of(root.resolve("made/when/needed")));
  }

  private Path file(String key) {
    return root.resolve("made/when/needed").resolve(key + ".properties");
  }

  @Test
  void entry_isFoundAsItWasPut() throws IOException {
    assertThat(cache().find("k")).isEmpty();
    cache().put("k", ENTRY);
    assertThat(cache().find("k")).hasValue(ENTRY);
    assertThat(cache().find("other")).isEmpty();
    cache().put("k", new Entry("m", 1, 1, true, "", ENTRY.samples()));
    assertThat(cache().find("k")).hasValueSatisfying(e -> assertThat(e.merge()).isTrue());
    try (Stream<Path> files = Files.list(root.resolve("made/when/needed"))) {
      assertThat(files).containsExactly(file("k"));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "version=3",
        "version=3\\u00",
        "version=3\nmodel=m\ninstances=0\nthreads=1\nmerge=true\nbatching=\nsamples=1:1:1",
        "version=3\nmodel=m\ninstances=x\nthreads=1\nmerge=true\nbatching=\nsamples=1:1:1",
        "version=3\nmodel=m\ninstances=1\nthreads=1\nmerge=perhaps\nbatching=\nsamples=1:1:1",
        "version=3\nmodel=m\ninstances=1\nthreads=1\nmerge=true\nbatching=\nsamples=",
        "version=3\nmodel=m\ninstances=1\nthreads=1\nmerge=true\nbatching=\nsamples=1:1:-1",
        "version=2\nmodel=m\ninstances=1\nthreads=1\nmerge=true\nbatching=\nsamples=1:1:1",
        "\u0000\u0001"
      })
  void fileThatDoesNotDo_isLeftOut(String content) throws IOException {
    Trees.write(root, "made/when/needed/k.properties", content);
    assertThat(cache().find("k")).isEmpty();
    cache().put("k", ENTRY);
    assertThat(cache().find("k")).hasValue(ENTRY);
  }

  @Test
  void fileThatIsNoText_isLeftOut() throws IOException {
    Trees.write(root, "made/when/needed/k.properties", "");
    Files.write(file("k"), new byte[] {(byte) 0xff, (byte) 0xfe, 0, 1});
    assertThat(cache().find("k")).isEmpty();
  }

  @Test
  void directoryThatCannotBe_keepsNothing() throws IOException {
    Path file = Trees.write(root, "file", "");
    CalibrationCache cache = new CalibrationCache(Optional.of(file.resolve("below")));
    cache.put("k", ENTRY);
    assertThat(cache.find("k")).isEmpty();
    CalibrationCache none = new CalibrationCache(Optional.empty());
    none.put("k", ENTRY);
    assertThat(none.find("k")).isEmpty();
  }

  private String key(Map<String, Object> options, Device device, int processors)
      throws IOException {
    return CalibrationKey.of(
        new LoadPlan(
            new ModelId("m", "1"),
            new FakeBackend(),
            root.resolve("m"),
            ModelOptions.read(Settings.of("test", options)),
            Map.of(),
            Settings.of("test", Map.of("level", "high"))),
        List.of(new Placement(device, 2, 1)),
        processors);
  }

  @Test
  void key_changesWithWhatBearsOnTheResult() throws IOException {
    Trees.write(root, "m/a.fake", "1");
    Trees.write(root, "m/sub/b.bin", "2");
    String key = key(Map.of(), Device.CPU, 2);
    assertThat(key).hasSize(64).isEqualTo(key(Map.of(), Device.CPU, 2));
    assertThat(key(Map.of("timeout", "1s"), Device.CPU, 2)).isEqualTo(key);
    assertThat(key(Map.of(), Device.CPU, 4)).isNotEqualTo(key);
    assertThat(key(Map.of(), new Device(Device.Kind.GPU, 0), 2)).isNotEqualTo(key);
    assertThat(key(Map.of("threads", 2), Device.CPU, 2)).isNotEqualTo(key);
    assertThat(key(Map.of("instances", 2), Device.CPU, 2)).isNotEqualTo(key);
    assertThat(key(Map.of("max-batch-size", 2), Device.CPU, 2)).isNotEqualTo(key);
    assertThat(key(Map.of("batching", "on"), Device.CPU, 2)).isNotEqualTo(key);

    Trees.write(root, "m/sub/b.bin", "3");
    String changed = key(Map.of(), Device.CPU, 2);
    assertThat(changed).isNotEqualTo(key);
    Files.move(root.resolve("m/sub/b.bin"), root.resolve("m/sub/c.bin"));
    assertThat(key(Map.of(), Device.CPU, 2)).isNotEqualTo(changed);
  }
}

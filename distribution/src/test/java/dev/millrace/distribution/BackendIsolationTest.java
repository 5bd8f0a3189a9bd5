package dev.millrace.distribution;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.protobuf.MessageLite;
import dev.millrace.api.DataType;
import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.runtime.Backends;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** The backends of the assembled layout, each behind its own class loader, beside the server. */
class BackendIsolationTest {
  private static final Path BACKENDS = Path.of(System.getProperty("millrace.home"), "backends");
  private static final Path EXAMPLES = Path.of("..", "examples");

  private final List<Backend> backends = Backends.inDirectory(BACKENDS);

  private Backend backend(String name) {
    return backends.stream()
        .filter(backend -> backend.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  /** Only the server's protobuf, version 4, has a class RuntimeVersion. */
  @Test
  void tensorflow_hasAnotherProtobufThanTheServer() throws Exception {
    String marker = "com.google.protobuf.RuntimeVersion";
    ClassLoader server = getClass().getClassLoader();
    ClassLoader plugin = backend("tensorflow").getClass().getClassLoader();
    assertThat(server.loadClass(marker)).isNotNull();
    assertThatThrownBy(() -> plugin.loadClass(marker)).isInstanceOf(ClassNotFoundException.class);
    Class<?> message = plugin.loadClass(MessageLite.class.getName());
    assertThat(message.getClassLoader()).isSameAs(plugin);
    assertThat(message).isNotEqualTo(MessageLite.class);
    assertThatThrownBy(() -> server.loadClass("org.tensorflow.proto.SignatureDef"))
        .isInstanceOf(ClassNotFoundException.class);
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void models_runBesideTheServersProtobuf() throws IOException {
    Path halfPlusTwo = EXAMPLES.resolve("half_plus_two").resolve("1");
    assertThat(backend("tensorflow").findModel(halfPlusTwo)).contains(halfPlusTwo);
    assertThat(backend("onnx").findModel(halfPlusTwo)).isEmpty();

    try (TensorModel simple = load("onnx", EXAMPLES.resolve("simple/1/model.onnx"))) {
      assertThat(Files.readString(Path.of("/proc/self/maps")))
          .contains("libonnxruntime")
          .doesNotContain("libtensorflow");
      try (TensorModel half = load("tensorflow", halfPlusTwo)) {
        assertThat(Files.readString(Path.of("/proc/self/maps")))
            .contains(BACKENDS.resolve("tensorflow") + "/");
        try (TensorMap outputs = run(half, TensorMap.of("x", Tensor.copyOf(Shape.of(2), 1, 5f)))) {
          assertThat(outputs.tensor(0).toFloats()).containsExactly(2.5f, 4.5f);
        }
        int[] ones = new int[16];
        java.util.Arrays.fill(ones, 1);
        TensorMap inputs =
            TensorMap.of(
                "INPUT0", Tensor.copyOf(Shape.of(1, 16), ones),
                "INPUT1", Tensor.copyOf(Shape.of(1, 16), ones));
        try (TensorMap outputs = run(simple, inputs)) {
          assertThat(outputs.tensor(0).dataType()).isEqualTo(DataType.INT32);
          assertThat(outputs.tensor(0).toInts()).containsOnly(2);
        }
      }
    }
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void pytorch_runsFromTheUnpackedLibraries() throws IOException {
    assertThat(Files.readString(Path.of("/proc/self/maps"))).doesNotContain("libtorch");
    try (TensorModel digits = load("pytorch", EXAMPLES.resolve("digits/model.pt"))) {
      assertThat(Files.readString(Path.of("/proc/self/maps")))
          .contains(BACKENDS.resolve("pytorch") + "/");
      TensorMap inputs = TensorMap.of("pixels", Tensor.copyOf(Shape.of(2, 64), new float[128]));
      try (TensorMap outputs = run(digits, inputs)) {
        assertThat(outputs.tensor(0).shape()).isEqualTo(Shape.of(2, 10));
      }
    }
  }

  /** The interpreter imports what it runs from the plug-in's jar. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void python_runsFromTheJar() throws IOException, InterruptedException {
    assumeTrue(hasPython(), "no python3 is on the PATH");
    Path keywords = EXAMPLES.resolve("python/keywords");
    Path script = keywords.resolve("predictor.py");
    assertThat(backend("python").findModel(keywords)).contains(script);
    assertThat(backend("python").findModel(EXAMPLES.resolve("simple"))).isEmpty();
    try (TensorModel model = load("python", script)) {
      TensorMap inputs =
          TensorMap.of(
              "instances", Tensor.copyOf(Shape.of(1), "\"A mill wheel turns in the stream.\""));
      try (TensorMap outputs = run(model, inputs)) {
        assertThat(outputs.tensor(0).toStrings())
            .containsExactly("[\"mill\",\"wheel\",\"stream\"]");
      }
    }
  }

  private static boolean hasPython() throws InterruptedException {
    try {
      return new ProcessBuilder("python3", "-c", "pass").start().waitFor() == 0;
    } catch (IOException e) {
      System.err.println("not run: no python3 is on the PATH");
      return false;
    }
  }

  private TensorModel load(String name, Path model) {
    return (TensorModel)
        backend(name)
            .load(
                new ModelSource(
                    new ModelId("model", "1"), model, Device.CPU, 1, 1, Settings.empty("none")));
  }

  private static TensorMap run(TensorModel model, TensorMap inputs) {
    try (inputs;
        Predictor predictor = model.newPredictor()) {
      return predictor.predict(inputs, List.of());
    }
  }
}

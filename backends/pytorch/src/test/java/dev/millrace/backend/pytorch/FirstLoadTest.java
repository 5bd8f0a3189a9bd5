package dev.millrace.backend.pytorch;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.io.IOException;
import java.net.Proxy;
import java.net.URL;
import java.net.URLConnection;
import java.net.URLStreamHandler;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the engine does to its surroundings when it is loaded, seen in a process of its own. */
class FirstLoadTest {
  @TempDir Path directory;

  @Test
  void firstLoad_asksTheNetworkForNothingAndLeavesNoFiles() throws Exception {
    Path home = Files.createDirectory(directory.resolve("home"));
    Path temporary = Files.createDirectory(directory.resolve("tmp"));
    ProcessBuilder java =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-Duser.home=" + home,
                "-Djava.io.tmpdir=" + temporary,
                "-cp",
                System.getProperty("java.class.path"),
                Load.class.getName())
            .redirectErrorStream(true);
    java.environment().put("HOME", home.toString());
    java.environment().remove("DJL_OFFLINE");
    java.environment().remove("OPT_OUT_TRACKING");
    Process process = java.start();
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    assertThat(output).contains("[2.0, 4.0]").doesNotContain("asked for");
    assertThat(filesIn(home)).isEmpty();
    assertThat(filesIn(temporary)).isEmpty();
  }

  private static List<Path> filesIn(Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      return files.filter(Files::isRegularFile).toList();
    }
  }

  /** Loads a model and runs it, and says what connections anybody wants. */
  static final class Load {
    private Load() {}

    public static void main(String[] arguments) {
      URL.setURLStreamHandlerFactory(
          protocol -> protocol.startsWith("http") ? new Refusal() : null);
      try (PyTorchFixture torch = PyTorchFixture.of("doubled");
          TensorMap outputs =
              torch.predict(TensorMap.of("x", Tensor.copyOf(Shape.of(1, 2), 1, 2f)))) {
        System.out.println(java.util.Arrays.toString(outputs.tensor(0).toFloats()));
      }
    }
  }

  /** Says who is asked for, and lets nobody through. */
  private static final class Refusal extends URLStreamHandler {
    @Override
    protected URLConnection openConnection(URL url) throws IOException {
      System.out.println("asked for " + url);
      throw new IOException("no network");
    }

    @Override
    protected URLConnection openConnection(URL url, Proxy proxy) throws IOException {
      return openConnection(url);
    }
  }
}

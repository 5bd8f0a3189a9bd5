package dev.millrace.backend.python;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** A server that is killed: nothing of its workers is left. */
@Timeout(value = 2, unit = java.util.concurrent.TimeUnit.MINUTES)
class ServerDeathTest {
  /** Loads the script in its argument, tells the processes' ids, and goes on calling it. */
  static final class Main {
    private Main() {}

    public static void main(String[] arguments) {
      try (PythonFixture fixture = PythonFixture.load(Path.of(arguments[0]), 2, Map.of())) {
        String large = '"' + "x".repeat(1 << 20) + '"';
        assertThat(fixture.texts(large)).containsExactly(large);
        ProcessHandle.current().children().forEach(child -> System.out.println(child.pid()));
        System.out.println("called");
        System.out.flush();
        fixture.texts("\"spin\"");
      }
    }
  }

  @TempDir Path directory;

  @BeforeAll
  static void requirePython() {
    PythonFixture.requirePython();
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void killedServer_takesItsWorkersAlong() throws IOException, InterruptedException {
    PythonFixture.write(
        directory,
        "predictor.py",
        """
        class Predictor:
            def predict(self, inputs):
                while inputs[0] == "spin": pass
                return inputs
        """);
    Process server =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(),
                directory.toString())
            .redirectErrorStream(true)
            .start();
    List<Long> workers;
    try (BufferedReader lines = server.inputReader(UTF_8)) {
      workers =
          lines
              .lines()
              .takeWhile(line -> !line.equals("called"))
              .filter(line -> line.matches("\\d+"))
              .map(Long::parseLong)
              .toList();
      assertThat(workers).hasSize(2).allMatch(ServerDeathTest::isAlive);
      server.destroyForcibly().waitFor();
    }
    long end = System.nanoTime() + SECONDS.toNanos(30);
    while (workers.stream().anyMatch(ServerDeathTest::isAlive)) {
      assertThat(System.nanoTime() - end).as("workers are left").isNegative();
      LockSupport.parkNanos(1_000_000);
    }
    try (Stream<Path> shared = Files.list(Path.of("/dev/shm"))) {
      assertThat(shared.map(Path::toString)).noneMatch(name -> name.contains("millrace"));
    }
  }

  private static boolean isAlive(long pid) {
    return ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
  }
}

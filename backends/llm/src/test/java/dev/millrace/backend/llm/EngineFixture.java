package dev.millrace.backend.llm;

import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.UpstreamModel;
import dev.millrace.testing.llm.EngineMain;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Models whose engine is the scripted one, in a process of its own. */
final class EngineFixture {
  /** The engine's command but for its arguments. */
  static final List<String> ENGINE =
      List.of(
          Path.of(System.getProperty("java.home"), "bin", "java").toString(),
          "-XX:TieredStopAtLevel=1",
          "-cp",
          System.getProperty("java.class.path"),
          EngineMain.class.getName());

  private EngineFixture() {}

  /** A section {@code launch} that starts the scripted engine. */
  static Map<String, Object> launch(Map<String, Object> more) {
    Map<String, Object> launch = new LinkedHashMap<>();
    List<Object> command = new java.util.ArrayList<>(ENGINE);
    command.addAll(List.of("serve", "{model}"));
    launch.put("command", command);
    launch.put("restart-delay", "50ms");
    launch.putAll(more);
    return launch;
  }

  static UpstreamModel load(Path directory, Map<String, Object> launch) {
    return (UpstreamModel)
        new LlmBackend(Map.of())
            .load(
                new ModelSource(
                    new ModelId("served", "1"),
                    directory.resolve("model.yaml"),
                    Device.CPU,
                    1,
                    1,
                    Settings.of("model.yaml", Map.of("launch", launch))));
  }

  static String get(URI address, String path) throws IOException {
    HttpURLConnection connection =
        (HttpURLConnection) address.resolve(path).toURL().openConnection();
    connection.setRequestProperty("Connection", "close");
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(connection.getInputStream(), StandardCharsets.UTF_8))) {
      return reader.lines().collect(Collectors.joining("\n"));
    } finally {
      connection.disconnect();
    }
  }

  /** The process of the engine itself. */
  static long pid(URI address) throws IOException {
    return Long.parseLong(
        get(address, "/_scripted/process").replaceAll("(?s).*\"pid\":(\\d+).*", "$1"));
  }

  /** Whether it runs; one that has ended and that nobody has asked for yet does not. */
  static boolean isAlive(long pid) throws IOException {
    Path status = Path.of("/proc", Long.toString(pid), "stat");
    try {
      if (Files.exists(status)) {
        return !Files.readString(status).replaceAll("(?s).*\\) ", "").startsWith("Z");
      }
    } catch (NoSuchFileException e) {
      return false;
    }
    return ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
  }
}

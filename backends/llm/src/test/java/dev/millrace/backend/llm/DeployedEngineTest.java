package dev.millrace.backend.llm;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.UpstreamModel;
import java.io.BufferedReader;
import java.io.File;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A server in a pod of Hopsworks' with a deployment for vLLM, and what is left when it is killed.
 */
@Timeout(60)
class DeployedEngineTest {
  /** Loads what is deployed, without any configuration, and tells where it is. */
  static final class Main {
    private Main() {}

    public static void main(String[] arguments) throws InterruptedException {
      LlmBackend backend = new LlmBackend();
      Path found = backend.findModel(Path.of(arguments[0])).orElseThrow();
      try (UpstreamModel model =
          (UpstreamModel)
              backend.load(
                  new ModelSource(
                      new ModelId("chat", "3"), found, Device.CPU, 1, 1, Settings.empty("none")))) {
        System.out.println("ready " + model.upstreams().getFirst().address());
        System.out.flush();
        Thread.currentThread().join();
      }
    }
  }

  @TempDir Path directory;

  @Test
  void deployment_isServedAndEndsWithTheServer() throws Exception {
    Path files = Files.createDirectory(directory.resolve("files"));
    Path bin = Files.createDirectory(directory.resolve("bin"));
    Path config =
        Files.writeString(directory.resolve("engine.yaml"), "max-model-len: 128\ndtype: half\n");
    Path vllm = bin.resolve("vllm");
    Files.writeString(
        vllm,
        "#!/bin/sh\nexec %s \"$@\"\n"
            .formatted(
                EngineFixture.ENGINE.stream()
                    .map(word -> "'" + word + "'")
                    .collect(Collectors.joining(" "))));
    assertThat(vllm.toFile().setExecutable(true)).isTrue();
    ProcessBuilder builder =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(),
                files.toString())
            .redirectErrorStream(true);
    builder
        .environment()
        .putAll(
            Map.of(
                "MODEL_FILES_PATH",
                files.toString(),
                "CONFIG_FILE_PATH",
                config.toString(),
                "DEPLOYMENT_NAME",
                "chat",
                "PATH",
                bin + File.pathSeparator + System.getenv("PATH")));
    Process server = builder.start();
    try (BufferedReader out = server.inputReader(UTF_8)) {
      String line = out.readLine();
      while (line != null && !line.startsWith("ready ")) {
        line = out.readLine();
      }
      assertThat(line).isNotNull();
      URI address = URI.create(line.substring("ready ".length()));
      assertThat(EngineFixture.get(address, "/v1/models")).contains("\"id\":\"chat\"");
      assertThat(EngineFixture.get(address, "/_scripted/process"))
          .contains("\"--max-model-len\",\"128\"")
          .contains("\"CONFIG_FILE_PATH\":\"" + config + "\"");
      long engine = EngineFixture.pid(address);

      server.destroyForcibly();

      while (EngineFixture.isAlive(engine)) {
        TimeUnit.MILLISECONDS.sleep(10);
      }
    } finally {
      server.destroyForcibly();
    }
  }
}

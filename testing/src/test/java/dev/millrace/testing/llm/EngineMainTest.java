package dev.millrace.testing.llm;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EngineMainTest {
  private static ProcessBuilder process(String... args) {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                EngineMain.class.getName()));
    command.addAll(List.of(args));
    return new ProcessBuilder(command).redirectErrorStream(true);
  }

  @Test
  void process_servesAsTheCommandLineSays() throws Exception {
    ProcessBuilder builder =
        process(
            "serve",
            "/models/m",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--served-model-name",
            "a",
            "b");
    builder.environment().put("SCRIPTED_VERSION", "main");
    Process process = builder.start();
    try (BufferedReader out = process.inputReader();
        HttpClient client = HttpClient.newHttpClient()) {
      String line = out.readLine();
      while (!line.contains("Uvicorn running")) {
        assertThat(line).startsWith("INFO");
        line = out.readLine();
      }
      URI uri = URI.create("http://127.0.0.1:" + line.substring(line.lastIndexOf(':') + 1));

      assertThat(get(client, uri.resolve("/v1/models")))
          .contains("\"id\":\"a\"")
          .contains("\"id\":\"b\"");
      assertThat(get(client, uri.resolve("/_scripted/process"))).contains("\"/models/m\"");
      post(client, uri.resolve("/_scripted/always"), "status=503");
      assertThat(post(client, uri.resolve("/v1/completions"), "{\"model\":\"a\",\"prompt\":\"x\"}"))
          .contains("scripted to fail with 503");
      assertThat(get(client, uri.resolve("/_scripted/requests"))).contains("\"end\":\"answered\"");
    } finally {
      process.destroy();
    }
    assertThat(process.waitFor()).isEqualTo(143);
  }

  @Test
  void version_isTold() throws Exception {
    Process process = process("--version").start();

    assertThat(process.inputReader().readLine()).isEqualTo("0.7.1");
    assertThat(process.waitFor()).isZero();
  }

  private static String post(HttpClient client, URI uri, String body)
      throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(uri)
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build();
    return client.send(request, BodyHandlers.ofString()).body();
  }

  private static String get(HttpClient client, URI uri) throws IOException, InterruptedException {
    return client.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()).body();
  }
}

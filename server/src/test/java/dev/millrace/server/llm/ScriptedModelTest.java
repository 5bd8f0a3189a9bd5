package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.backend.python.PythonBackend;
import dev.millrace.runtime.LoadListener;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import dev.millrace.server.http.NettyLeakExtension;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Python scripts for vLLM deployments, over OpenAI's API. */
@ExtendWith(NettyLeakExtension.class)
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class ScriptedModelTest {
  /** Gives the prompt back, letter by letter; without end if it is asked for that. */
  private static final String SCRIPT =
      """
      import asyncio

      class Output:
          def __init__(self, text, reason):
              self.index, self.text, self.token_ids, self.finish_reason = 0, text, list(text), reason

      class Step:
          def __init__(self, prompt, output):
              self.prompt_token_ids, self.outputs = list(prompt), [output]

      class Engine:
          def __init__(self):
              self.aborted = 0

          async def abort(self, request_id):
              self.aborted += 1

          async def generate(self, prompt, sampling_params, request_id):
              if prompt == "aborted":
                  prompt = str(self.aborted)
              if prompt == "fail":
                  raise ValueError("cannot")
              made = 0
              while made < len(prompt) or prompt == "endless":
                  await asyncio.sleep(0.001)
                  made += 1
                  text = "e" * made if prompt == "endless" else prompt[:made]
                  done = prompt != "endless" and made == len(prompt)
                  yield Step(prompt, Output(text, "stop" if done else None))

      class Predictor:
          def __init__(self):
              self.vllm_engine = Engine()

          def apply_chat_template(self, messages, chat_template=None, tools=None):
              return messages[-1]["content"]
      """;

  @TempDir Path directory;

  private final HttpClient client = HttpClient.newHttpClient();
  private MillraceServer server;

  @BeforeEach
  void start() throws IOException, InterruptedException {
    boolean present;
    try {
      present = new ProcessBuilder("python3", "-c", "pass").start().waitFor() == 0;
    } catch (IOException e) {
      present = false;
    }
    if (!present) {
      System.err.println("not run: no python3 is on the PATH");
    }
    Assumptions.assumeTrue(present, "no python3 is on the PATH");
    Files.writeString(
        Files.createDirectory(directory.resolve("letters")).resolve("predictor.py"), SCRIPT);
    server =
        MillraceServer.bind(
            ServerConfig.of(directory).onFreePorts(), java.util.List.of(new PythonBackend()));
    server.load(LoadListener.NONE);
  }

  @AfterEach
  void stop() {
    client.shutdownNow();
    if (server != null) {
      server.close();
    }
  }

  private HttpResponse<String> post(String path, String body)
      throws IOException, InterruptedException {
    return client.send(
        HttpRequest.newBuilder(URI.create("http://localhost:" + server.port() + path))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofString());
  }

  private static String chat(String content, String more) {
    return "{\"model\":\"letters\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s}"
        .formatted(content, more);
  }

  private static String completion(String prompt) {
    return "{\"model\":\"letters\",\"prompt\":\"%s\"}".formatted(prompt);
  }

  @Test
  void script_answersAtBothPrefixes() throws Exception {
    for (String prefix : new String[] {"/v1", "/openai/v1"}) {
      HttpResponse<String> answer = post(prefix + "/chat/completions", chat("abc", ""));

      assertThat(answer.statusCode()).isEqualTo(200);
      assertThat(answer.body())
          .contains("\"object\":\"chat.completion\"")
          .contains("\"content\":\"abc\"")
          .contains("\"usage\":{\"prompt_tokens\":3,\"total_tokens\":6,\"completion_tokens\":3}");
      assertThat(post(prefix + "/completions", completion("ab")).body())
          .contains("\"text\":\"ab\"")
          .contains("\"model\":\"letters\"");
    }
  }

  @Test
  void script_streams() throws Exception {
    HttpResponse<String> answer =
        post(
            "/openai/v1/chat/completions",
            chat("ab", ",\"stream\":true,\"stream_options\":{\"include_usage\":true}"));

    assertThat(answer.headers().firstValue("content-type"))
        .contains("text/event-stream; charset=utf-8");
    assertThat(answer.body())
        .startsWith("data: {\"id\":\"chatcmpl-")
        .contains("\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}")
        .contains("\"delta\":{\"content\":\"b\"}")
        .contains("\"finish_reason\":\"stop\"")
        .contains("\"choices\":[],\"usage\":{\"prompt_tokens\":2,")
        .endsWith("}\n\ndata: [DONE]\n\n");
  }

  @Test
  void errors_haveOpenAisShape() throws Exception {
    HttpResponse<String> refused = post("/v1/chat/completions", chat("a", ",\"n\":2"));
    assertThat(refused.statusCode()).isEqualTo(400);
    assertThat(refused.body())
        .startsWith("{\"error\":{")
        .contains("\"message\":\"n != 1 is not supported\"");

    HttpResponse<String> failed = post("/v1/completions", completion("fail"));
    assertThat(failed.statusCode()).isEqualTo(500);
    assertThat(failed.body()).startsWith("{\"error\":{").contains("ValueError: cannot");

    assertThat(post("/v1/embeddings", "{\"model\":\"letters\",\"input\":\"a\"}").statusCode())
        .isBetween(400, 501);
  }

  @Test
  void clientThatGoes_endsTheScriptsWork() throws Exception {
    String body = chat("endless", ",\"stream\":true");
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
      String head =
          "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
              .formatted(body.length());
      socket.getOutputStream().write((head + body).getBytes(UTF_8));
      assertThat(new String(socket.getInputStream().readNBytes(15), UTF_8))
          .isEqualTo("HTTP/1.1 200 OK");
    }

    while (!post("/v1/completions", completion("aborted")).body().contains("\"text\":\"1\"")) {
      Thread.onSpinWait();
    }
  }
}

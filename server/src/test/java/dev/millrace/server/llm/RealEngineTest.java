package dev.millrace.server.llm;

import static dev.millrace.server.llm.LlmFixture.CHAT;
import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.server.http.Await;
import dev.millrace.server.http.NettyLeakExtension;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** llama.cpp behind a server: real tokens of a model of random weights. */
@ExtendWith(NettyLeakExtension.class)
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class RealEngineTest {
  private static final AtomicInteger CANCELLED = new AtomicInteger();
  private static Process process;
  private static int port;

  @TempDir Path directory;
  private LlmFixture llm;

  @BeforeAll
  static void startEngine(@TempDir Path files) throws IOException {
    Path model = files.resolve("tiny.gguf");
    TinyModelFile.write(model);
    process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx128m",
                "-Djava.io.tmpdir=" + files, // for the native library
                "-cp",
                System.getProperty("java.class.path"),
                LlamaEngine.class.getName(),
                model.toString())
            .redirectError(files.resolve("errors").toFile())
            .start();
    BufferedReader lines = process.inputReader(UTF_8);
    String line = lines.readLine();
    while (line != null && !line.matches("(port|missing:|failed:) ?.*")) {
      line = lines.readLine();
    }
    if (line != null && line.startsWith("missing:")) {
      System.out.println("skipped: llama.cpp cannot be loaded here; " + line);
      Assumptions.abort(line);
    }
    assertThat(line).as(() -> read(files.resolve("errors"))).isNotNull().startsWith("port ");
    port = Integer.parseInt(line.substring(5));
    Thread.ofPlatform()
        .daemon()
        .name("engine-output")
        .start(() ->
            lines.lines().filter("cancelled"::equals).forEach(_ -> CANCELLED.incrementAndGet()));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }

  @AfterAll
  static void stopEngine() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }

  @BeforeEach
  void begin() throws IOException {
    llm = new LlmFixture(directory, 0);
    Path model = Files.createDirectory(directory.resolve("scripted"));
    Files.writeString(
        model.resolve("model.yaml"),
        "llm:\n  upstreams: [http://127.0.0.1:%d]\n  model: tiny\n".formatted(port));
    llm.start();
  }

  @AfterEach
  void stop() throws IOException {
    llm.close();
  }

  private static String body(String rest) {
    return "{\"model\":\"scripted\",%s}".formatted(rest);
  }

  private static String messages(String content) {
    return "\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]".formatted(content);
  }

  private static @Nullable Object at(@Nullable Object json, Object... path) {
    @Nullable Object found = json;
    for (Object step : path) {
      found =
          step instanceof Integer index
              ? requireNonNull((List<?>) found).get(index)
              : requireNonNull((Map<?, ?>) found).get(step);
    }
    return found;
  }

  private static List<@Nullable Object> events(String stream) {
    assertThat(stream).endsWith("data: [DONE]\n\n");
    return stream
        .lines()
        .filter(line -> line.startsWith("data: {"))
        .<@Nullable Object>map(line -> JsonTree.parse(line.substring(6)))
        .collect(Collectors.toList());
  }

  @Test
  void chat_streamed_hasTheTextOfTheWholeAnswer() {
    HttpResponse<String> whole = llm.post(CHAT, body(messages("the mill turns")));
    HttpResponse<String> stream =
        llm.post(CHAT, body("\"stream\":true," + messages("the mill turns")));

    assertThat(whole.statusCode()).as(whole.body()).isEqualTo(200);
    Object answer = JsonTree.parse(whole.body());
    String text = (String) at(answer, "choices", 0, "message", "content");
    assertThat(text).isNotBlank();
    assertThat(at(answer, "usage", "completion_tokens")).isEqualTo(16);
    assertThat(at(answer, "model")).isEqualTo("tiny");
    assertThat(stream.statusCode()).as(stream.body()).isEqualTo(200);
    List<@Nullable Object> events = events(stream.body());
    assertThat(events).hasSize(17); // the last one brings why it ended
    assertThat(at(events.getLast(), "choices", 0, "finish_reason")).isEqualTo("length");
    assertThat(
            events.stream()
                .map(event -> (String) at(event, "choices", 0, "delta", "content"))
                .collect(Collectors.joining()))
        .isEqualTo(text);
    Await.until(
        "the tokens of both are counted",
        () ->
            llm.scrape()
                .lines()
                .anyMatch(line ->
                    line.startsWith("gen_ai_client_token_usage_sum")
                        && line.contains("gen_ai_token_type=\"output\"")
                        && line.endsWith(" 32.0")));
  }

  @Test
  void completion_ofManyAtOnce_isEachTimeTheSame() {
    String request = body("\"prompt\":\"slow water\",\"max_tokens\":40");
    List<CompletableFuture<String>> answers =
        IntStream.range(0, 24)
            .mapToObj(i ->
                CompletableFuture.supplyAsync(
                    () ->
                        i % 2 == 0
                            ? (String)
                                at(
                                    JsonTree.parse(llm.post("/v1/completions", request).body()),
                                    "choices",
                                    0,
                                    "text")
                            : events(
                                    llm.post(
                                            "/v1/completions",
                                            request.replace("\"max", "\"stream\":true,\"max"))
                                        .body())
                                .stream()
                                .map(event -> (String) at(event, "choices", 0, "text"))
                                .collect(Collectors.joining()),
                    Thread::startVirtualThread))
            .toList();

    List<String> texts = answers.stream().map(CompletableFuture::join).distinct().toList();
    assertThat(texts).hasSize(1);
    assertThat(texts.getFirst()).isNotBlank();
  }

  @Test
  void embeddings_areTheEngines() {
    HttpResponse<String> answer =
        llm.post("/v1/embeddings", body("\"input\":[\"old stone\",\"new bread\",\"old stone\"]"));

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    Object json = JsonTree.parse(answer.body());
    assertThat((List<?>) at(json, "data")).hasSize(3);
    assertThat((List<?>) at(json, "data", 0, "embedding")).hasSize(TinyModelFile.WIDTH);
    assertThat(at(json, "data", 0, "embedding"))
        .isEqualTo(at(json, "data", 2, "embedding"))
        .isNotEqualTo(at(json, "data", 1, "embedding"));
  }

  @Test
  void error_ofTheEngine_isPassedOn() {
    HttpResponse<String> answer = llm.post(CHAT, body("\"messages\":7"));

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).contains("not a request");
  }

  @Test
  void client_thatGoesAway_stopsTheGeneration() throws IOException {
    int before = CANCELLED.get();
    try (Socket client =
        llm.open(CHAT, body("\"stream\":true,\"max_tokens\":1000000," + messages("river")))) {
      assertThat(client.getInputStream().read()).isEqualTo('H');
    }

    Await.until("it is cancelled", () -> CANCELLED.get() == before + 1);
    assertThat(llm.post(CHAT, body(messages("river"))).statusCode()).isEqualTo(200);
  }
}

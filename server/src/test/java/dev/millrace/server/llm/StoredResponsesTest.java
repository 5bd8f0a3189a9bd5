package dev.millrace.server.llm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.server.ServerConfig;
import dev.millrace.server.http.Await;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.llm.Dialect;
import dev.millrace.testing.llm.ReceivedRequest;
import dev.millrace.testing.llm.ScriptedEngine;
import java.io.IOException;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Responses that an engine keeps: what is asked of them goes to the engine that has them. */
@ExtendWith(NettyLeakExtension.class)
class StoredResponsesTest {
  private static final String RESPONSES = "/v1/responses";
  private static final int ENGINES = 3;

  @TempDir Path directory;
  private LlmFixture llm;

  @BeforeEach
  void begin() throws IOException {
    llm = new LlmFixture(Files.createDirectory(directory.resolve("m")), ENGINES, Dialect.MAIN);
  }

  @AfterEach
  void stop() throws IOException {
    llm.close();
  }

  private void start(String... lines) throws IOException {
    llm.model("scripted", llm.engines(ENGINES), lines).start();
  }

  private static String body(String more) {
    return "{\"model\":\"scripted\",\"input\":\"hello you\"%s}".formatted(more);
  }

  /** Has a response made; its name. */
  private String create(String id, String more) {
    HttpResponse<String> answer = llm.post(RESPONSES, body(more), "X-Request-Id", id);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(answer.body()).contains("resp_" + id);
    return RESPONSES + "/resp_" + id;
  }

  private HttpResponse<String> delete(String path) {
    return llm.send(llm.request(path).DELETE().build());
  }

  private List<ReceivedRequest> requests(String path) {
    return llm.engines(ENGINES).stream()
        .flatMap(engine -> engine.requests().stream())
        .filter(request -> request.path().equals(path))
        .toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ",\"stream\":true"})
  void response_isFoundWhereItIs_cancelledAndDeleted(String more) throws Exception {
    start();
    for (int i = 0; i < 12; i++) {
      String path = create("r" + i, more);

      HttpResponse<String> got = llm.get(path + "?include=all");
      HttpResponse<String> cancelled = llm.post("/openai" + path + "/cancel", "");
      HttpResponse<String> deleted = delete(path);
      HttpResponse<String> gone = llm.get(path);

      assertThat(got.statusCode()).as(got.body()).isEqualTo(200);
      assertThat(got.body()).contains("\"status\":\"completed\"", "hello you");
      assertThat(cancelled.body()).contains("\"status\":\"cancelled\"");
      assertThat(deleted.body()).contains("\"deleted\":true");
      assertThat(gone.statusCode()).isEqualTo(404);
      assertThat(gone.body()).contains("not found");
      assertThat(requests(path).stream().map(ReceivedRequest::target))
          .containsExactly(path + "?include=all", path, path);
      assertThat(requests(path + "/cancel")).hasSize(1);
    }
  }

  @Test
  void response_thatIsLarge_isFoundToo() throws Exception {
    start();
    String large = "x ".repeat(400_000);
    for (int i = 0; i < 6; i++) {
      String body = "{\"model\":\"scripted\",\"input\":\"%s\"}".formatted(large);
      assertThat(llm.post(RESPONSES, body, "X-Request-Id", "l" + i).statusCode()).isEqualTo(200);

      assertThat(llm.get(RESPONSES + "/resp_l" + i).statusCode()).isEqualTo(200);
      assertThat(requests(RESPONSES + "/resp_l" + i)).hasSize(1);
    }
  }

  @Test
  void response_thatIsNotKnownHere_isSoughtAtAll() throws Exception {
    start();
    for (ScriptedEngine engine : llm.engines(ENGINES)) {
      String id = "direct" + engine.port();
      llm.client()
          .send(
              HttpRequest.newBuilder(engine.uri().resolve(RESPONSES))
                  .header("Content-Type", "application/json")
                  .header("X-Request-Id", id)
                  .POST(BodyPublishers.ofString(body("")))
                  .build(),
              HttpResponse.BodyHandlers.discarding());

      assertThat(llm.get(RESPONSES + "/resp_" + id).statusCode()).isEqualTo(200);
    }
    HttpResponse<String> none = llm.get(RESPONSES + "/resp_none");

    assertThat(none.statusCode()).isEqualTo(404);
    assertThat(none.body()).startsWith("{\"error\":{").contains("resp_none");
    assertThat(requests(RESPONSES + "/resp_none")).hasSize(ENGINES);
    assertThat(llm.scrape()).doesNotContainPattern("millrace_upstream_fit\\{.*} 0.0");
  }

  @Test
  void response_isGoneOnFrom_whereItIs() throws Exception {
    start();
    for (int i = 0; i < 12; i++) {
      create("a" + i, "");
      create("b" + i, ",\"previous_response_id\":\"resp_a%d\"".formatted(i));
    }
  }

  @Test
  void response_isCancelled_whileTheModelHasAllRequestsThatItMayHave() throws Exception {
    start("limits: {concurrency: 1, queue: 0}");
    String path = create("early", "");
    llm.engines(ENGINES).forEach(engine -> engine.script("stall=request"));
    CompletableFuture<HttpResponse<String>> running =
        CompletableFuture.supplyAsync(
            () -> llm.post(RESPONSES, body("")), Thread::startVirtualThread);
    Await.until("it runs", () -> running() == 1);
    llm.engines(ENGINES).forEach(ScriptedEngine::forget);

    assertThat(llm.post(RESPONSES, body("")).statusCode()).isEqualTo(429);
    assertThat(llm.post(path + "/cancel", "").statusCode()).isEqualTo(200);
    Await.until(
        "it ends",
        () -> {
          llm.engines(ENGINES).forEach(ScriptedEngine::release);
          return running.isDone();
        });
    assertThat(llm.post(RESPONSES, body("")).statusCode()).isEqualTo(200);
  }

  private int running() {
    return llm.engines(ENGINES).stream().mapToInt(ScriptedEngine::running).sum();
  }

  @ParameterizedTest
  @ValueSource(strings = {"..", "%2e%2e", "a%2Fb", "a%20b", "%0d%0a"})
  void response_whoseNameIsNone_isNotAskedFor(String id) throws Exception {
    start();

    assertThat(llm.get(RESPONSES + "/" + id).statusCode()).isEqualTo(404);
    assertThat(llm.engines(ENGINES)).allMatch(engine -> engine.requests().isEmpty());
  }

  @Test
  void response_ofAnotherClient_isNotThere() throws Exception {
    Path keys = Files.writeString(directory.resolve("keys"), "one first-key\ntwo second-key\n");
    ServerConfig config = llm.config();
    llm.with(new LlmConfig(config.llm().prefix(), Optional.of(keys)));
    start();
    HttpResponse<String> made =
        llm.post(RESPONSES, body(""), "X-Request-Id", "mine", "Authorization", "Bearer first-key");
    assertThat(made.statusCode()).as(made.body()).isEqualTo(200);

    assertThat(get("resp_mine", "second-key").statusCode()).isEqualTo(404);
    assertThat(get("resp_mine", "first-key").statusCode()).isEqualTo(200);
    assertThat(get("resp_mine", "third-key").statusCode()).isEqualTo(401);
    assertThat(requests(RESPONSES + "/resp_mine")).hasSize(1);
  }

  private HttpResponse<String> get(String id, String key) {
    return llm.send(
        llm.request(RESPONSES + "/" + id).header("Authorization", "Bearer " + key).build());
  }
}

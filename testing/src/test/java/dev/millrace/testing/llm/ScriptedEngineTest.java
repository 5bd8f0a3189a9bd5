package dev.millrace.testing.llm;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.testing.llm.ReceivedRequest.End;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.Socket;
import java.net.SocketException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class ScriptedEngineTest {
  private static final String CHAT = "/v1/chat/completions";

  private ScriptedEngine engine;
  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  @BeforeEach
  void start() throws IOException {
    engine = ScriptedEngine.start();
  }

  @AfterEach
  void stop() throws IOException {
    client.shutdownNow();
    engine.close();
  }

  private void restart(ScriptedEngine.Builder builder) throws IOException {
    engine.close();
    engine = builder.start();
  }

  private static String chat(String more) {
    return "{\"model\":\"scripted\",\"messages\":[{\"role\":\"user\",\"content\":\"how are you\"}]"
        + more
        + "}";
  }

  private HttpResponse<String> post(String path, String body, String... headers)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(engine.uri().resolve(path))
            .POST(BodyPublishers.ofString(body))
            .header("content-type", "application/json");
    if (headers.length > 0) {
      request.headers(headers);
    }
    return client.send(request.build(), BodyHandlers.ofString());
  }

  private HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return client.send(
        HttpRequest.newBuilder(engine.uri().resolve(path)).build(), BodyHandlers.ofString());
  }

  /** Without what differs from one answer to the next. */
  private static String plain(String text) {
    return text.replaceAll("\"created\":\\d+", "\"created\":1")
        .replaceAll("chatcmpl-tool-\\w+", "chatcmpl-tool-id")
        .replaceAll("\"(chatcmpl|cmpl|embd|rerank)-[0-9a-f]{32}", "\"$1-id");
  }

  private static String raw(String body, String more) {
    return "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n%scontent-length: %d\r\n\r\n%s"
        .formatted(more, body.getBytes(UTF_8).length, body);
  }

  private Socket connect() throws IOException {
    return new Socket(engine.uri().getHost(), engine.port());
  }

  private static void write(Socket socket, String text) throws IOException {
    socket.getOutputStream().write(text.getBytes(UTF_8));
  }

  private static String readUntil(InputStream in, String end) throws IOException {
    StringBuilder text = new StringBuilder();
    while (text.indexOf(end) < 0) {
      int b = in.read();
      if (b < 0) {
        return text.toString();
      }
      text.append((char) b);
    }
    return text.toString();
  }

  // ---- shapes

  @Test
  void chat_answersAsVllm071() throws Exception {
    HttpResponse<String> answer = post(CHAT, chat(""));

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.headers().firstValue("server")).contains("uvicorn");
    assertThat(plain(answer.body()))
        .isEqualTo(
            "{\"id\":\"chatcmpl-id\",\"object\":\"chat.completion\",\"created\":1,"
                + "\"model\":\"scripted\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
                + "\"reasoning_content\":null,\"content\":\"how are you\",\"tool_calls\":[]},"
                + "\"logprobs\":null,\"finish_reason\":\"stop\",\"stop_reason\":null}],"
                + "\"usage\":{\"prompt_tokens\":3,\"total_tokens\":6,\"completion_tokens\":3,"
                + "\"prompt_tokens_details\":null},\"prompt_logprobs\":null}");
  }

  @Test
  void chat_answersAsVllmMain() throws Exception {
    restart(ScriptedEngine.builder().dialect(Dialect.MAIN));

    String answer = plain(post(CHAT, chat(",\"max_tokens\":2")).body());

    assertThat(answer)
        .contains("\"content\":\"how are\",\"refusal\":null")
        .contains("\"reasoning\":null},\"logprobs\":null,\"finish_reason\":\"length\"")
        .contains("\"service_tier\":null,\"system_fingerprint\":null,\"usage\":{");
  }

  @Test
  void chat_streamsRolesThenTokensThenUsage() throws Exception {
    String head =
        "data: {\"id\":\"chatcmpl-id\",\"object\":\"chat.completion.chunk\",\"created\":1,"
            + "\"model\":\"scripted\",\"choices\":[";
    String token = "\"logprobs\":null,\"finish_reason\":null}]}\n\n";

    HttpResponse<String> answer =
        post(
            CHAT,
            chat(",\"stream\":true,\"stream_options\":{\"include_usage\":true}"),
            Script.HEADER,
            "text=a b");

    assertThat(answer.headers().firstValue("content-type"))
        .contains("text/event-stream; charset=utf-8");
    assertThat(plain(answer.body()))
        .isEqualTo(
            head
                + "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
                + token
                + head
                + "{\"index\":0,\"delta\":{\"content\":\"a\"},"
                + token
                + head
                + "{\"index\":0,\"delta\":{\"content\":\" b\"},"
                + token
                + head
                + "{\"index\":0,\"delta\":{\"content\":\"\"},\"logprobs\":null,"
                + "\"finish_reason\":\"stop\",\"stop_reason\":null}]}\n\n"
                + head
                + "],\"usage\":{\"prompt_tokens\":3,\"total_tokens\":5,\"completion_tokens\":2}}\n\n"
                + "data: [DONE]\n\n");
  }

  @Test
  void chat_streamsUsageWithEveryChunkIfAsked() throws Exception {
    String answer =
        post(
                CHAT,
                chat(
                    ",\"stream\":true,\"stream_options\":"
                        + "{\"include_usage\":true,\"continuous_usage_stats\":true}"))
            .body();

    assertThat(answer.split("\"usage\":\\{", -1)).hasSize(1 + 6);
  }

  @Test
  void completions_streamWithNulls() throws Exception {
    HttpResponse<String> answer =
        post(
            "/v1/completions",
            "{\"model\":\"scripted\",\"prompt\":\"a b\",\"max_tokens\":1,\"stream\":true}");

    assertThat(plain(answer.body()))
        .isEqualTo(
            "data: {\"id\":\"cmpl-id\",\"object\":\"text_completion\",\"created\":1,"
                + "\"model\":\"scripted\",\"choices\":[{\"index\":0,\"text\":\"a\",\"logprobs\":null,"
                + "\"finish_reason\":\"length\",\"stop_reason\":null}],\"usage\":null}\n\n"
                + "data: [DONE]\n\n");
  }

  @Test
  void completions_numberTheChoicesOfSeveralPrompts() throws Exception {
    String answer =
        post("/v1/completions", "{\"model\":\"scripted\",\"prompt\":[\"a\",\"b\"],\"n\":2}").body();

    assertThat(answer)
        .contains("{\"index\":1,\"text\":\"a\"")
        .contains("{\"index\":2,\"text\":\"b\"")
        .contains("\"completion_tokens\":4");
  }

  @Test
  void tools_areCalledWithThePrompt() throws Exception {
    String tools =
        ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\",\"parameters\":{}}}]";

    String whole = plain(post(CHAT, chat(tools)).body());
    String streamed = post(CHAT, chat(tools + ",\"stream\":true")).body();

    assertThat(whole)
        .contains(
            "\"content\":null,\"tool_calls\":[{\"id\":\"chatcmpl-tool-id\",\"type\":\"function\","
                + "\"function\":{\"name\":\"look\",\"arguments\":\"{\\\"text\\\":\\\"how are you\\\"}\"}}]")
        .contains("\"finish_reason\":\"tool_calls\"");
    assertThat(streamed)
        .contains("\"function\":{\"name\":\"look\",\"arguments\":\"")
        .contains("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"");
  }

  @Test
  void embeddings_areTheSameAsNumbersAndBase64() throws Exception {
    String numbers =
        post("/v1/embeddings", "{\"model\":\"scripted\",\"input\":[\"a\",\"b c\"]}").body();
    String base64 =
        post(
                "/v1/embeddings",
                "{\"model\":\"scripted\",\"input\":\"a\",\"encoding_format\":\"base64\"}")
            .body();

    assertThat(numbers).contains("\"prompt_tokens\":3").contains("\"index\":1");
    byte[] bytes =
        java.util.Base64.getDecoder()
            .decode(base64.replaceAll("(?s).*\"embedding\":\"([^\"]+)\".*", "$1"));
    float first =
        java.nio.ByteBuffer.wrap(bytes).order(java.nio.ByteOrder.LITTLE_ENDIAN).getFloat();
    assertThat(numbers).contains("\"embedding\":[" + first + ",");
  }

  @Test
  void others_answer() throws Exception {
    assertThat(get("/v1/models").body()).contains("\"id\":\"scripted\"").contains("\"root\"");
    assertThat(post("/tokenize", "{\"model\":\"scripted\",\"prompt\":\"a b\"}").body())
        .contains("\"count\":2,\"max_model_len\":4096,\"tokens\":[");
    assertThat(post("/detokenize", "{\"model\":\"scripted\",\"tokens\":[1,2]}").body())
        .isEqualTo("{\"prompt\":\"1 2\"}");
    assertThat(
            post(
                    "/v1/rerank",
                    "{\"model\":\"scripted\",\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_n\":1}")
                .body())
        .contains("\"relevance_score\":")
        .doesNotContain("},{");
    assertThat(
            post("/v1/score", "{\"model\":\"scripted\",\"text_1\":\"q\",\"text_2\":[\"a\",\"b\"]}")
                .body())
        .contains("\"object\":\"score\"");
    assertThat(get("/health").statusCode()).isEqualTo(200);
    assertThat(get("/version").body()).isEqualTo("{\"version\":\"0.7.1\"}");
  }

  @Test
  void metrics_haveTheNamesOfTheDialect() throws Exception {
    engine.load(3, 0.25);
    assertThat(get("/metrics").body())
        .contains("vllm:num_requests_waiting{model_name=\"scripted\"} 3.0\n")
        .contains("vllm:gpu_cache_usage_perc{model_name=\"scripted\"} 0.25\n");

    restart(ScriptedEngine.builder().dialect(Dialect.MAIN));
    engine.load(4, 0.5);
    assertThat(get("/metrics").body())
        .contains("vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"scripted\"} 0.5\n");
  }

  @Test
  void errors_haveTheShapeOfTheDialect() throws Exception {
    String unknown = "{\"model\":\"x\",\"messages\":[]}";
    assertThat(post(CHAT, unknown).body())
        .isEqualTo(
            "{\"object\":\"error\",\"message\":\"The model `x` does not exist.\","
                + "\"type\":\"NotFoundError\",\"param\":null,\"code\":404}");
    assertThat(post(CHAT, chat(",\"stream_options\":{\"include_usage\":true}")).statusCode())
        .isEqualTo(400);

    restart(ScriptedEngine.builder().dialect(Dialect.MAIN));
    HttpResponse<String> nested = post(CHAT, unknown);
    assertThat(nested.statusCode()).isEqualTo(404);
    assertThat(nested.body())
        .isEqualTo(
            "{\"error\":{\"message\":\"The model `x` does not exist.\","
                + "\"type\":\"NotFoundError\",\"param\":\"model\",\"code\":404}}");
  }

  @Test
  void keys_areAskedForUnderV1Only() throws Exception {
    restart(ScriptedEngine.builder().keys("secret"));

    HttpResponse<String> without = post(CHAT, chat(""));

    assertThat(without.statusCode()).isEqualTo(401);
    assertThat(without.body()).isEqualTo("{\"error\":\"Unauthorized\"}");
    assertThat(post(CHAT, chat(""), "authorization", "Bearer secret").statusCode()).isEqualTo(200);
    assertThat(get("/metrics").statusCode()).isEqualTo(200);
  }

  // ---- scripts

  @Test
  void script_answersWithAnErrorOfAnyShape() throws Exception {
    engine.script(
        "status=503;error=string;message=busy;header=Retry-After: 2",
        "status=500;error=html",
        "status=502;error=empty");

    HttpResponse<String> busy = post(CHAT, chat(""));

    assertThat(busy.statusCode()).isEqualTo(503);
    assertThat(busy.body()).isEqualTo("{\"error\":\"busy\"}");
    assertThat(busy.headers().firstValue("retry-after")).contains("2");
    assertThat(post(CHAT, chat("")).body()).startsWith("<html>");
    assertThat(post(CHAT, chat("")).body()).isEmpty();
    assertThat(post(CHAT, chat("")).statusCode()).isEqualTo(200);
  }

  @Test
  void script_breaksStreamsOff() throws Exception {
    for (String script : List.of("close=2", "reset=headers", "reset=2")) {
      engine.script(script);
      assertThatThrownBy(() -> post(CHAT, chat(",\"stream\":true")))
          .as(script)
          .isInstanceOf(IOException.class);
      assertThat(engine.requests().getLast().awaitEnd()).isEqualTo(End.BROKEN);
    }
  }

  @Test
  void script_breaksWholeAnswersOffInTheMiddle() {
    engine.script("close=1");

    assertThatThrownBy(() -> post(CHAT, chat(""))).isInstanceOf(IOException.class);

    assertThat(engine.requests().getLast().bytesSent()).isGreaterThan(100);
  }

  @Test
  void script_resetsAConnectionThatIsUsedAgain() throws Exception {
    engine.always("reset=reused");
    try (Socket socket = connect()) {
      write(socket, raw(chat(""), ""));
      assertThat(readUntil(socket.getInputStream(), "\"prompt_logprobs\":null}"))
          .contains("200 OK");

      write(socket, raw(chat(""), ""));

      assertThatThrownBy(() -> assertThat(socket.getInputStream().read()).isEqualTo(0))
          .isInstanceOfAny(SocketException.class, AssertionError.class);
      assertThat(engine.awaitRequests(2).getLast().indexOnConnection()).isEqualTo(1);
    }
  }

  @Test
  void script_shapesTheStream() throws Exception {
    engine.script(
        "newline=crlf;text=a",
        "newline=cr;text=a",
        "fragment=half;text=a",
        "fragment=7;text=a",
        "done=no;text=a",
        "comments=yes;text=a",
        "error-event=2;message=broken",
        "garbage=1;text=a",
        "garbage=body",
        "stream=no;text=a");
    String stream = chat(",\"stream\":true");

    assertThat(post(CHAT, stream).body()).endsWith("data: [DONE]\r\n\r\n").doesNotContain("}\n");
    assertThat(post(CHAT, stream).body()).endsWith("data: [DONE]\r\r");
    assertThat(post(CHAT, stream).body()).endsWith("}\n\ndata: [DONE]\n\n");
    assertThat(post(CHAT, stream).body()).endsWith("}\n\ndata: [DONE]\n\n");
    assertThat(post(CHAT, stream).body()).endsWith("\"stop_reason\":null}]}\n\n");
    assertThat(post(CHAT, stream).body()).startsWith(": ping\n\ndata: ");
    assertThat(post(CHAT, stream).body())
        .endsWith(
            "data: {\"error\": {\"object\": \"error\", \"message\": \"broken\", \"type\":"
                + " \"InternalServerError\", \"param\": null, \"code\": 500}}\n\n"
                + "data: [DONE]\n\n");
    assertThat(post(CHAT, stream).body()).contains("data: {\"choices\": [ this is no JSON\n\n");
    assertThat(post(CHAT, stream).body()).doesNotContain("data:");
    assertThat(post(CHAT, stream).body()).startsWith("{\"id\":");
  }

  @Test
  void script_framesWhatIsNoStream() throws Exception {
    engine.script("framing=chunked", "framing=close", "garbage=body", "garbage=response");

    HttpResponse<String> chunked = post(CHAT, chat(""));
    assertThat(chunked.body()).endsWith("\"prompt_logprobs\":null}");
    assertThat(chunked.headers().firstValue("transfer-encoding")).contains("chunked");
    HttpResponse<String> closed = post(CHAT, chat(""));
    assertThat(closed.body()).endsWith("\"prompt_logprobs\":null}");
    assertThat(closed.headers().firstValue("content-length")).isEmpty();
    assertThat(post(CHAT, chat("")).body()).contains("this is no JSON");
    assertThatThrownBy(() -> post(CHAT, chat(""))).isInstanceOf(IOException.class);
  }

  @Test
  void script_isTakenFromTheBodyAsWell() throws Exception {
    assertThat(post(CHAT, chat(",\"scripted\":\"tokens=5\"")).body())
        .contains("\"content\":\"how are you how are\"");
    HttpResponse<String> wrong = post(CHAT, chat(",\"scripted\":\"what=5\""));
    assertThat(wrong.statusCode()).isEqualTo(400);
    assertThat(wrong.body()).contains("what=5");
  }

  @Test
  void script_makesTokensLarge() throws Exception {
    engine.script("tokens=3;size=1000000");

    assertThat(post(CHAT, chat("")).body()).hasSizeGreaterThan(3_000_000);
  }

  @Test
  void stall_lastsUntilReleased() throws Exception {
    for (String point : List.of("request", "headers", "1")) {
      engine.forget();
      engine.script("text=a;stall=" + point);
      var answer =
          client.sendAsync(
              HttpRequest.newBuilder(engine.uri().resolve(CHAT))
                  .POST(BodyPublishers.ofString(chat(",\"stream\":true")))
                  .build(),
              BodyHandlers.ofString());
      ReceivedRequest request = engine.awaitRequests(1).getFirst();

      while (!answer.isDone()) {
        engine.release();
        Thread.onSpinWait();
      }

      assertThat(answer.join().body()).endsWith("data: [DONE]\n\n");
      assertThat(request.awaitEnd()).isEqualTo(End.ANSWERED);
    }
  }

  // ---- connections

  @Test
  void cancellation_isSeenWhateverTheAnswerWaitsFor() throws Exception {
    for (String script :
        List.of("stall=request", "stall=headers", "tokens=9999;gap=1ms", "delay=60s")) {
      engine.forget();
      engine.script(script);
      ReceivedRequest request;
      try (Socket socket = connect()) {
        write(socket, raw(chat(",\"stream\":true"), ""));
        request = engine.awaitRequests(1).getFirst();
        assertThat(request.end()).isNull();
      }
      assertThat(request.awaitEnd()).as(script).isEqualTo(End.CANCELLED);
      assertThat(request.endNanos()).isGreaterThanOrEqualTo(request.receivedNanos());
    }
  }

  @Test
  void keepAlive_endsIdleConnections() throws Exception {
    restart(ScriptedEngine.builder().keepAlive(Duration.ofMillis(50)));
    try (Socket socket = connect()) {
      write(socket, raw(chat(""), ""));

      assertThat(readUntil(socket.getInputStream(), "nothing like it"))
          .endsWith("\"prompt_logprobs\":null}");
    }
  }

  @Test
  void connection_answersOneRequestAfterTheOther() throws Exception {
    try (Socket socket = connect()) {
      write(socket, raw(chat(""), "") + raw(chat(""), "X-Name: value\r\n"));
      for (int i = 0; i < 2; i++) {
        assertThat(readUntil(socket.getInputStream(), "\"prompt_logprobs\":null}"))
            .startsWith("HTTP/1.1 200 OK\r\ndate: ");
      }
    }
    ReceivedRequest second = engine.requests().getLast();
    assertThat(second.connection()).isEqualTo(1);
    assertThat(second.head()).contains("\r\nX-Name: value\r\n");
    assertThat(second.text()).isEqualTo(chat(""));
  }

  @Test
  void refuse_refusesUntilAcceptedAgain() throws Exception {
    engine.refuse();
    assertThatThrownBy(() -> connect().close()).isInstanceOf(ConnectException.class);

    engine.acceptAgain();

    assertThat(get("/health").statusCode()).isEqualTo(200);
  }

  @Test
  void slowReader_readsInTheEnd() throws Exception {
    engine.script("read=100");
    String text = "x".repeat(500);

    HttpResponse<String> answer =
        post(CHAT, "{\"model\":\"scripted\",\"messages\":[{\"content\":\"%s\"}]}".formatted(text));

    assertThat(answer.body()).contains(text);
  }

  @Test
  void requestId_isTheBaseOfTheAnswersId() throws Exception {
    restart(ScriptedEngine.builder().echoesRequestId(true));

    HttpResponse<String> answer = post(CHAT, chat(""), "X-Request-Id", "mine");

    assertThat(answer.body()).startsWith("{\"id\":\"chatcmpl-mine\"");
    assertThat(answer.headers().firstValue("x-request-id")).contains("mine");
  }

  @Test
  void script_namesWhatItDoesNotKnow() {
    assertThatThrownBy(() -> Script.of("tokens=many"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("tokens of a script is a number; got 'many'");
    assertThatThrownBy(() -> Script.of("token=1"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("got 'token=1'");
  }
}

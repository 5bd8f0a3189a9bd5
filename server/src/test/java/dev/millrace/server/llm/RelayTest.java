package dev.millrace.server.llm;

import static dev.millrace.server.llm.LlmFixture.CHAT;
import static dev.millrace.server.llm.LlmFixture.chat;
import static dev.millrace.server.llm.LlmFixture.stream;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.backend.llm.LlmBackend;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.ServerConfig;
import dev.millrace.server.http.Await;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.llm.ReceivedRequest;
import dev.millrace.testing.llm.ReceivedRequest.End;
import dev.millrace.testing.llm.ScriptedEngine;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.ByteBufAllocatorMetricProvider;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Requests through a server to scripted engines, on real sockets. */
@ExtendWith(NettyLeakExtension.class)
class RelayTest {
  /** How much more memory the allocator may keep after a thousand streams than before. */
  private static final long MOST_GROWTH = 2 << 20;

  /** The same for objects, of which a thousand relays would take more. */
  private static final long MOST_HEAP_GROWTH = 3 << 20;

  @TempDir Path directory;
  private LlmFixture llm;

  @BeforeEach
  void begin() throws IOException {
    llm = new LlmFixture(directory, 2);
  }

  /** A model with so many of the engines behind it. */
  private void start(int engines, String... lines) throws IOException {
    llm.model("scripted", llm.engines(engines), lines).start();
  }

  @AfterEach
  void stop() throws IOException {
    llm.close();
  }

  @Test
  void request_goesOnByteForByte_withoutTheClientsKey() throws Exception {
    start(1);
    String body =
        " { \"unknown\" : [1, {\"a\":null}] ,\"messages\":[{\"role\":\"user\",\"content\":\"caf\\u00e9 h\"}],\n \"model\" : \"scripted\" } ";

    HttpResponse<String> answer =
        llm.post(CHAT, body, "Authorization", "Bearer mine", "X-Request-Id", "r-1", "X-Other", "o");

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(answer.body()).contains("\"object\":\"chat.completion\"", "café h");
    assertThat(answer.headers().firstValue("x-request-id")).contains("r-1");
    ReceivedRequest received = llm.engine().awaitRequests(1).getFirst();
    assertThat(received.text()).isEqualTo(body);
    assertThat(received.header("authorization")).isNull();
    assertThat(received.header("x-request-id")).isEqualTo("r-1");
    assertThat(received.header("x-other")).isEqualTo("o");
  }

  @Test
  void stream_isPassedOn_andUsageThatNobodyAskedForIsHidden() throws Exception {
    start(1);

    HttpResponse<String> answer = llm.post(CHAT, stream("one two three"));

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.headers().firstValue("content-type").orElse(""))
        .startsWith("text/event-stream");
    assertThat(answer.body()).endsWith("data: [DONE]\n\n").doesNotContain("\"choices\":[]");
    assertThat(answer.body()).contains("one").contains("three").contains("finish_reason");
    assertThat(llm.engine().requests().getFirst().text())
        .startsWith("{\"stream_options\":{\"include_usage\":true},\"model\"");
    Await.until(
        "the tokens are counted",
        () ->
            llm.scrape()
                .lines()
                .anyMatch(line ->
                    line.startsWith("gen_ai_client_token_usage_sum")
                        && line.contains("gen_ai_token_type=\"output\"")
                        && !line.endsWith(" 0.0")));
    assertThat(llm.scrape())
        .contains("gen_ai_server_time_to_first_token_seconds_count")
        .contains("gen_ai_server_request_duration_seconds_count");
  }

  @Test
  void stream_withUsageAskedFor_isAsTheEngineSentIt() throws Exception {
    start(1);
    String body =
        "{\"model\":\"scripted\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":[{\"role\":\"user\",\"content\":\"one\"}]}";

    HttpResponse<String> answer = llm.post(CHAT, body);

    assertThat(answer.body()).contains("\"choices\":[]", "\"usage\":{");
    assertThat(llm.engine().requests().getFirst().text()).isEqualTo(body);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "fragment=half",
        "fragment=1",
        "newline=crlf",
        "newline=cr",
        "newline=crlf;fragment=1",
        "comments=yes",
        "done=no",
        "usage=last"
      })
  void stream_ofAnyShape_arrivesComplete(String script) throws Exception {
    start(1);
    llm.engine().script(script);

    HttpResponse<String> answer = llm.post(CHAT, stream("alpha beta gamma"));

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).contains("alpha", "beta", "gamma").doesNotContain("\"choices\":[]");
    if (!script.startsWith("done")) {
      assertThat(answer.body().strip()).endsWith("data: [DONE]");
    }
    assertThat(llm.engine().requests().getFirst().awaitEnd()).isEqualTo(End.ANSWERED);
  }

  @ParameterizedTest
  @ValueSource(strings = {"text=a b c;gap=20ms;tokens=100000", "stall=headers", "stall=1"})
  void client_thatGoesAway_endsTheStreamUpstream(String script) throws Exception {
    start(1);
    llm.engine().script(script);
    ReceivedRequest received;
    try (Socket client = llm.open(CHAT, stream("x"))) {
      received = llm.engine().awaitRequests(1).getFirst();
      if (!script.equals("stall=headers")) {
        assertThat(client.getInputStream().read()).isEqualTo('H');
      }
    }

    assertThat(received.awaitEnd()).isEqualTo(End.CANCELLED);
  }

  @Test
  void client_thatGoesAway_endsAnAnswerThatIsNoStream() throws Exception {
    start(1);
    llm.engine().script("stall=request");
    ReceivedRequest received;
    try (Socket _ = llm.open(CHAT, chat("x"))) {
      received = llm.engine().awaitRequests(1).getFirst();
    }

    assertThat(received.awaitEnd()).isEqualTo(End.CANCELLED);
  }

  @Test
  void client_thatReadsSlowly_slowsTheEngineDown() throws Exception {
    start(1);
    llm.engine().script("tokens=4000;size=10000");
    try (Socket client = llm.open(CHAT, stream("x"))) {
      ReceivedRequest received = llm.engine().awaitRequests(1).getFirst();
      long[] last = {-1};
      int[] same = {0};
      Await.until(
          "the engine is stopped",
          () -> {
            same[0] = received.bytesSent() > 0 && received.bytesSent() == last[0] ? same[0] + 1 : 0;
            last[0] = received.bytesSent();
            return same[0] > 200;
          });
      assertThat(received.bytesSent()).isLessThan(30_000_000);

      InputStream in = client.getInputStream();
      byte[] buffer = new byte[1 << 16];
      StringBuilder tail = new StringBuilder();
      for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
        tail.append(new String(buffer, 0, read, UTF_8));
        tail.delete(0, Math.max(0, tail.length() - 64));
        if (tail.toString().endsWith("\r\n0\r\n\r\n")) {
          break;
        }
      }
      assertThat(tail.toString()).contains("data: [DONE]");
      assertThat(received.awaitEnd()).isEqualTo(End.ANSWERED);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "flat", "nested", "string", "kserve", "openai", "fastapi", "text", "html", "empty"
      })
  void error_ofAnyShape_hasOpenAisShape(String shape) throws Exception {
    start(1);
    llm.engine()
        .script(
            "status=400;message=no good;error=" + shape,
            "status=400;message=no good;error=" + shape);

    HttpResponse<String> answer = llm.post(CHAT, chat("x"));
    HttpResponse<String> kserve = llm.post("/openai" + CHAT, chat("x"));

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).startsWith("{\"error\":{").contains("\"message\":\"");
    if (!shape.equals("html") && !shape.equals("empty")) {
      assertThat(answer.body()).contains("no good");
    }
    assertThat(kserve.statusCode()).isEqualTo(400);
    assertThat(kserve.body()).doesNotContainPattern("\"code\": ?[0-9]");
  }

  @Test
  void error_keepsTheHeadersThatSayWhenToTryAgain() throws Exception {
    start(1);
    llm.engine()
        .script("status=429;header=Retry-After-Ms: 20;header=X-RateLimit-Remaining-Requests: 0");

    HttpResponse<String> answer = llm.post(CHAT, chat("x"));

    assertThat(answer.statusCode()).isEqualTo(429);
    assertThat(answer.headers().firstValue("retry-after-ms")).contains("20");
    assertThat(answer.headers().firstValue("x-ratelimit-remaining-requests")).contains("0");
    assertThat(answer.headers().firstValue("content-type")).contains("application/json");
  }

  @Test
  void connection_thatTheEngineClosedMeanwhile_isReplaced() throws Exception {
    start(1);
    llm.engine().always("reset=reused");

    for (int i = 0; i < 6; i++) {
      assertThat(llm.post(CHAT, chat("again")).statusCode()).isEqualTo(200);
    }
    assertThat(llm.engine().requests()).hasSizeGreaterThan(6);
  }

  @Test
  void connection_isUsedAgain() throws Exception {
    start(1, "health: {interval: 0s}");
    for (int i = 0; i < 4; i++) {
      assertThat(llm.post(CHAT, chat("again")).statusCode()).isEqualTo(200);
    }
    assertThat(llm.engine().connectionsSeen()).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "status=503",
        "close=request",
        "close=headers",
        "garbage=response",
        "reset=request"
      })
  void upstream_thatFailsBeforeTheFirstEvent_isReplacedByAnother(String script) throws Exception {
    start(2);
    llm.engine(0).always(script);

    int count = 0;
    while (count < 6 || llm.engine(0).requests().isEmpty()) {
      HttpResponse<String> answer = llm.post(CHAT, stream("hello"));
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
      assertThat(answer.body()).contains("hello", "[DONE]");
      count++;
    }
    assertThat(llm.engine(1).requests()).hasSize(count);
  }

  @Test
  void upstream_thatRefuses_isReplacedByAnother() throws Exception {
    start(2, "health: {interval: 0s}");
    llm.engine(0).refuse();

    for (int i = 0; i < 6; i++) {
      assertThat(llm.post(CHAT, chat("hello")).statusCode()).isEqualTo(200);
    }
  }

  @Test
  void upstreams_thatAllFail_areToldOf_andNotToBeTriedAgain() throws Exception {
    start(2);
    llm.engine(0).always("status=503;message=full");
    llm.engine(1).always("status=503;message=full");

    HttpResponse<String> answer = llm.post(CHAT, chat("hello"));

    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.body()).contains("full");
    assertThat(answer.headers().firstValue("x-should-retry")).contains("false");
  }

  @Test
  void upstreams_thatAllFail_areToldOf_alsoWhenNothingMayBeTriedAgain() throws Exception {
    start(2, "health: {interval: 0s}");
    llm.engine(0).always("status=503;message=full");
    llm.engine(1).always("status=503;message=full");
    int count = 0;
    while (llm.engine(0).requests().size() + llm.engine(1).requests().size() == 2 * count) {
      assertThat(llm.post(CHAT, chat("x")).body()).contains("full");
      count++;
    }
    assertThat(count).isGreaterThan(100);
    HttpResponse<String> answer = llm.post(CHAT, chat("x"));

    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.body()).contains("full");
  }

  @Test
  void upstream_thatKeepsFailing_getsNothing_untilItIsBack() throws Exception {
    start(2, "health: {interval: 0s}", "ejection: {failures: 2, time: 1s}");
    llm.engine(0).always("status=503");
    Await.until(
        "it has failed twice",
        () -> {
          assertThat(llm.post(CHAT, chat("x")).statusCode()).isEqualTo(200);
          return llm.engine(0).requests().size() == 2;
        });
    assertThat(llm.scrape())
        .containsPattern("millrace_upstream_fit\\{.*" + llm.engine(0).port() + ".*} 0.0");

    llm.engine(0).forget();
    Await.until(
        "it is back",
        () -> {
          assertThat(llm.post(CHAT, chat("x")).statusCode()).isEqualTo(200);
          return llm.engine(0).requests().size() > 2;
        });
    assertThat(llm.scrape())
        .containsPattern("millrace_upstream_fit\\{.*" + llm.engine(0).port() + ".*} 1.0");
  }

  @Test
  void upstream_whoseHealthFails_getsNothing() throws Exception {
    start(2, "health: {interval: 20ms}");
    llm.engine(0).health(500);
    Await.until(
        "that is seen",
        () -> {
          assertThat(llm.post(CHAT, chat("x")).statusCode()).isEqualTo(200);
          return llm.scrape()
              .lines()
              .anyMatch(line -> line.startsWith("millrace_upstream_fit") && line.endsWith(" 0.0"));
        });
    int before = llm.engine(0).requests().size();
    for (int i = 0; i < 10; i++) {
      assertThat(llm.post(CHAT, chat("x")).statusCode()).isEqualTo(200);
    }
    assertThat(llm.engine(0).requests()).hasSize(before);
  }

  @Test
  void time_withoutFirstToken_is504() throws Exception {
    start(1, "timeouts: {first-token: 100ms}");
    llm.engine().script("stall=headers");

    HttpResponse<String> answer = llm.post(CHAT, stream("x"));

    assertThat(answer.statusCode()).isEqualTo(504);
    assertThat(answer.body()).contains("no token came within 100 ms");
    assertThat(llm.engine().requests().getFirst().awaitEnd()).isEqualTo(End.CANCELLED);
  }

  @Test
  void time_withoutFurtherToken_endsTheStreamWithAnError() throws Exception {
    start(1, "timeouts: {gap: 100ms}");
    llm.engine().script("text=a b c d e f;stall=3");

    HttpResponse<String> answer = llm.post(CHAT, stream("x"));

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body())
        .contains("data: {\"error\":{\"message\":\"no further token came within 100 ms\"");
    assertThat(answer.body()).doesNotContain("[DONE]");
    assertThat(llm.engine().requests().getFirst().awaitEnd()).isEqualTo(End.CANCELLED);
  }

  @Test
  void time_forAllOfAnAnswer_is504() throws Exception {
    start(1, "timeouts: {total: 100ms}");
    llm.engine().script("stall=request");

    HttpResponse<String> answer = llm.post(CHAT, chat("x"));

    assertThat(answer.statusCode()).isEqualTo(504);
    assertThat(llm.engine().requests().getFirst().awaitEnd()).isEqualTo(End.CANCELLED);
  }

  @Test
  void time_forAllOfAnAnswer_countsAgainstAnUpstreamThatAnswersNothing() throws Exception {
    start(2, "health: {interval: 0s}", "timeouts: {total: 100ms}", "ejection: {failures: 1}");
    llm.engine(0).always("stall=request");
    Await.until(
        "it has been asked",
        () -> {
          llm.post(CHAT, chat("x"));
          return !llm.engine(0).requests().isEmpty();
        });

    assertThat(llm.scrape())
        .containsPattern("millrace_upstream_fit\\{.*" + llm.engine(0).port() + ".*} 0.0");
  }

  @Test
  void time_forAllOfAnAnswer_doesNotCountAgainstAnUpstreamThatStreams() throws Exception {
    start(1, "health: {interval: 0s}", "timeouts: {total: 100ms}", "ejection: {failures: 1}");
    llm.engine().script("tokens=100000;gap=1ms");

    assertThat(llm.post(CHAT, stream("x")).body()).contains("\"error\"");
    assertThat(llm.scrape())
        .containsPattern("millrace_upstream_fit\\{.*" + llm.engine(0).port() + ".*} 1.0");
  }

  @ParameterizedTest
  @ValueSource(strings = {"close=3", "reset=3", "fragment=half;close=3"})
  void stream_thatBreaksOff_endsWithAnError(String script) throws Exception {
    start(1);
    llm.engine().script("text=a b c d e f;" + script);

    HttpResponse<String> answer = llm.post(CHAT, stream("x"));

    assertThat(answer.statusCode()).isEqualTo(200);
    List<String> events = List.of(answer.body().split("\n\n"));
    assertThat(events.getLast()).startsWith("data: {\"error\":{\"message\":\"an upstream closed");
    assertThat(events.getFirst()).startsWith("data: {\"id\"");
  }

  @ParameterizedTest
  @ValueSource(strings = {"stream=no", "garbage=response", "close=request", "reset=headers"})
  void upstream_thatDoesNotStream_is502(String script) throws Exception {
    start(1);
    llm.engine().script(script);

    HttpResponse<String> answer = llm.post(CHAT, stream("x"));

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(502);
    assertThat(answer.body()).startsWith("{\"error\":{\"message\":\"");
  }

  @ParameterizedTest
  @ValueSource(strings = {"close=1", "reset=1"})
  void answer_thatBreaksOff_is502(String script) throws Exception {
    start(1);
    llm.engine().script(script);

    assertThat(llm.post(CHAT, chat("x")).statusCode()).isEqualTo(502);
  }

  @ParameterizedTest
  @ValueSource(strings = {"framing=chunked", "framing=close", "framing=length", "keep-alive=no"})
  void answer_ofAnyFraming_isPassedOn(String script) throws Exception {
    start(1);
    llm.engine().script(script, script);

    assertThat(llm.post(CHAT, chat("one")).body()).contains("\"content\":\"one\"");
    assertThat(llm.post(CHAT, chat("two")).body()).contains("\"content\":\"two\"");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n\"wrong\"",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
        "no HTTP\r\n\r\n"
      })
  void bytes_behindAnAnswer_areNobodysAnswer(String rest) throws Exception {
    try (ServerSocket engine = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      startBefore(engine);
      String answered =
          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n\"right\"";
      Thread.startVirtualThread(() -> answerEach(engine, answered + rest));

      for (int i = 0; i < 3; i++) {
        HttpResponse<String> answer = llm.post(CHAT, chat("x"));

        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(answer.body()).isEqualTo("\"right\"");
      }
    }
  }

  @Test
  void stream_thatIsDoneWithoutAnyChunk_isComplete() throws Exception {
    try (ServerSocket engine = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      startBefore(engine);
      String answered =
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 14\r\n\r\ndata: [DONE]\n\n";
      Thread.startVirtualThread(() -> answerEach(engine, answered));

      HttpResponse<String> answer = llm.post(CHAT, stream("x"));

      assertThat(answer.statusCode()).isEqualTo(200);
      assertThat(answer.body()).isEqualTo("data: [DONE]\n\n");
    }
  }

  /** A model with that engine behind it, which is not asked how it is. */
  private void startBefore(ServerSocket engine) throws IOException {
    Files.createDirectory(directory.resolve("scripted"));
    Files.writeString(
        directory.resolve("scripted").resolve("model.yaml"),
        "llm:\n  health: {interval: 0s}\n  upstreams: ['http://127.0.0.1:%d']\n"
            .formatted(engine.getLocalPort()));
    llm.start();
  }

  /** Answers each request with the same bytes. */
  private static void answerEach(ServerSocket engine, String answer) {
    try {
      while (true) {
        Socket socket = engine.accept();
        Thread.startVirtualThread(() -> {
          try (socket) {
            while (socket.getInputStream().read(new byte[64 << 10]) > 0) {
              socket.getOutputStream().write(answer.getBytes(UTF_8));
            }
          } catch (IOException e) {
            // It is closed, as it should be.
          }
        });
      }
    } catch (IOException e) {
      // The test has ended.
    }
  }

  @Test
  void answer_thatIsLarge_isPassedOnAsItComes() throws Exception {
    start(1);
    llm.engine().script("tokens=100;size=50000");

    HttpResponse<String> answer = llm.post(CHAT, chat("x"));

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).hasSizeGreaterThan(5_000_000).endsWith("}");
  }

  @Test
  void memory_ofRequestsAndOfAnswersThatAreHeld_isCounted_andFreeAfterwards() throws Exception {
    start(1);
    llm.engine().script("text=a;tokens=200;size=1000;stall=1");
    CompletableFuture<HttpResponse<String>> answer =
        CompletableFuture.supplyAsync(
            () -> llm.post(CHAT, chat("y".repeat(300_000))), Thread::startVirtualThread);

    Await.until("both are counted", () -> memoryInFlight() > 390_000);
    assertThat(memoryInFlight()).isLessThan(500_000);
    release(answer);
    assertThat(answer.join().body()).hasSizeGreaterThan(200_000);
    Await.until("it is free", () -> memoryInFlight() == 0);
  }

  @Test
  void memory_thatIsTakenByOthers_refusesRequests_andHasAnswersPassedOnAsTheyCome()
      throws Exception {
    limitMemory(100_000);
    start(2, "health: {interval: 0s}");
    llm.engine(0).always("stall=request");
    llm.engine(1).always("stall=request");
    CompletableFuture<HttpResponse<String>> first =
        CompletableFuture.supplyAsync(
            () -> llm.post(CHAT, chat("y".repeat(70_000))), Thread::startVirtualThread);
    Await.until("it is counted", () -> memoryInFlight() > 70_000);

    HttpResponse<String> refused = llm.post(CHAT, chat("z".repeat(40_000)));
    llm.engine(0).always("tokens=60;size=1000");
    llm.engine(1).always("tokens=60;size=1000");
    HttpResponse<String> streamed = llm.post(CHAT, chat("x"));

    assertThat(refused.statusCode()).as(refused.body()).isEqualTo(429);
    assertThat(refused.body()).contains("rate_limit_error", "bytes of requests in flight");
    assertThat(streamed.statusCode()).isEqualTo(200);
    assertThat(streamed.body()).hasSizeGreaterThan(60_000);
    assertThat(streamed.headers().firstValue("transfer-encoding")).contains("chunked");
    release(first);
    Await.until("it is free", () -> memoryInFlight() == 0);
  }

  private void limitMemory(long bytes) throws IOException {
    ServerConfig config = llm.config();
    llm.with(
        config.withRuntime(config.runtime().withInFlightLimits(1000, bytes)),
        Plugins.of(List.of(new LlmBackend())));
  }

  private long memoryInFlight() {
    return llm.scrape()
        .lines()
        .filter(line -> line.startsWith("millrace_requests_in_flight_memory_bytes "))
        .mapToLong(line -> (long) Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }

  @Test
  void body_thatIsLarge_isPassedOn() throws Exception {
    start(1);
    String body =
        "{\"model\":\"scripted\",\"image\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"
            .formatted("A".repeat(10_000_000));

    assertThat(llm.post(CHAT, body).statusCode()).isEqualTo(200);
    assertThat(llm.engine().requests().getFirst().body()).hasSize(body.length());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "{", "[]", "7", "{\"model\":7}", "{\"model\":\"scripted\"} x", "\u0001"})
  void body_thatIsNoRequest_is400(String body) throws Exception {
    start(1);

    HttpResponse<String> answer = llm.post(CHAT, body);

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(400);
    assertThat(answer.body()).startsWith("{\"error\":{\"message\":\"").contains("invalid_request");
    assertThat(llm.engine().requests()).isEmpty();
  }

  @Test
  void model_thatIsUnknown_is404_andNoControlPathIsThere() throws Exception {
    start(1);

    HttpResponse<String> answer = llm.post(CHAT, "{\"model\":\"nope\",\"messages\":[]}");

    assertThat(answer.statusCode()).isEqualTo(404);
    assertThat(answer.body()).contains("The model `nope` does not exist.", "model_not_found");
    for (String path :
        List.of(
            "/v1/load_lora_adapter",
            "/openai/v1/unload_lora_adapter",
            "/sleep",
            "/reset_prefix_cache")) {
      assertThat(llm.post(path, "{}").statusCode()).as(path).isEqualTo(404);
    }
    assertThat(llm.engine().requests()).isEmpty();
  }

  @Test
  void model_goesByOtherNames() throws Exception {
    start(1, "model: scripted", "aliases: [gpt-4o, other]", "loras: [sql]");

    for (String name : List.of("gpt-4o", "other")) {
      HttpResponse<String> answer = llm.post(CHAT, chat("x").replace("scripted", name));
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    }
    assertThat(llm.engine().requests()).allMatch(request -> request.text().equals(chat("x")));
    assertThat(
            llm.post(CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}").statusCode())
        .isEqualTo(200);
    HttpResponse<String> adapter = llm.post(CHAT, chat("x").replace("scripted", "sql"));
    assertThat(adapter.statusCode()).isEqualTo(404);
    assertThat(llm.engine().requests().getLast().text()).contains("\"sql\"");
    assertThat(llm.get("/v1/models").body()).contains("\"id\":\"gpt-4o\"", "\"id\":\"sql\"");
    assertThat(llm.get("/openai/v1/models").body()).contains("\"id\":\"other\"");
    assertThat(llm.get("/openai/v1/models/gpt-4o").statusCode()).isEqualTo(200);
    assertThat(llm.get("/v1/models/gpt-4o").body()).contains("\"id\":\"gpt-4o\"");
    assertThat(llm.get("/v1/models/nope").statusCode()).isEqualTo(404);
    assertThat(llm.get("/openai/v1/models/nope").statusCode()).isEqualTo(404);
  }

  @Test
  void adapters_thatUpstreamsList_areListedAndGoWhereTheyAre() throws Exception {
    start(2, "health: {interval: 20ms}");
    llm.engine(1).adapters("sql");
    Await.until("it is seen", () -> llm.get("/v1/models").body().contains("\"id\":\"sql\""));

    for (int i = 0; i < 10; i++) {
      HttpResponse<String> answer = llm.post(CHAT, chat("x").replace("scripted", "sql"));
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    }
    assertThat(llm.engine(1).requests()).hasSize(10);
    assertThat(llm.get("/openai/v1/models/sql").statusCode()).isEqualTo(200);
    llm.engine(1).script("status=503;message=full");
    assertThat(llm.post(CHAT, chat("x").replace("scripted", "sql")).body()).contains("full");

    llm.engine(1).adapters();
    Await.until("it is gone", () -> !llm.get("/v1/models").body().contains("\"id\":\"sql\""));
    assertThat(llm.post(CHAT, chat("x").replace("scripted", "sql")).statusCode()).isEqualTo(404);
    assertThat(llm.engine(0).requests()).isEmpty();
  }

  @Test
  void model_thatNobodyAnswersFor_isReplacedByItsFallback() throws Exception {
    llm.model("scripted", List.of(llm.engine(0)), "fallback: small");
    llm.model("small", List.of(llm.engine(1)), "model: scripted");
    llm.start();
    llm.engine(0).refuse();

    HttpResponse<String> answer = llm.post(CHAT, chat("x"));

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(llm.engine(1).requests()).hasSize(1);
  }

  @Test
  void model_whoseOnlyUpstreamIsOverloaded_isReplacedByItsFallback() throws Exception {
    llm.model("scripted", List.of(llm.engine(0)), "fallback: small");
    llm.model("small", List.of(llm.engine(1)), "model: scripted");
    llm.start();
    llm.engine(0).always("status=503");
    llm.engine(1).script("status=503;message=this one too");

    HttpResponse<String> refused = llm.post(CHAT, chat("x"));
    HttpResponse<String> answer = llm.post(CHAT, stream("x"));

    assertThat(refused.statusCode()).isEqualTo(503);
    assertThat(refused.body()).contains("this one too");
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(llm.engine(0).requests()).hasSize(2);
    assertThat(llm.engine(1).requests()).hasSize(2);
  }

  @Test
  void limit_isKept_oneWaits_andMoreAreRefused() throws Exception {
    start(1, "limits: {concurrency: 1, queue: 1}");
    llm.engine().script("stall=request");
    List<CompletableFuture<HttpResponse<String>>> answers = new ArrayList<>();
    answers.add(postAsync());
    llm.engine().awaitRequests(1);
    answers.add(postAsync());
    Await.until("one waits", () -> llm.scrape().contains("queue_requests{model=\"scripted\"} 1.0"));

    HttpResponse<String> refused = llm.post(CHAT, chat("third"));

    assertThat(refused.statusCode()).isEqualTo(429);
    assertThat(refused.headers().firstValue("retry-after")).contains("1");
    assertThat(refused.body()).contains("rate_limit_error", "1 requests run and 1 wait");
    for (CompletableFuture<HttpResponse<String>> answer : answers) {
      release(answer);
      assertThat(answer.join().statusCode()).isEqualTo(200);
    }
    assertThat(llm.engine().requests()).hasSize(2);
  }

  /** Lets the engines go on, until the answer is there. */
  private void release(CompletableFuture<?> answer) {
    Await.until(
        "the answer is there",
        () -> {
          llm.engines(2).forEach(ScriptedEngine::release);
          return answer.isDone();
        });
  }

  private CompletableFuture<HttpResponse<String>> postAsync() {
    return CompletableFuture.supplyAsync(
        () -> llm.post(CHAT, chat("x")), Thread::startVirtualThread);
  }

  @Test
  void limit_ofAKey_leavesOthersAlone_andWaitingEnds() throws Exception {
    start(1, "limits: {key-concurrency: 1, queue-timeout: 100ms}");
    llm.engine().script("stall=request");
    CompletableFuture<HttpResponse<String>> first =
        CompletableFuture.supplyAsync(
            () -> llm.post(CHAT, chat("x"), "Authorization", "Bearer a"),
            Thread::startVirtualThread);
    llm.engine().awaitRequests(1);

    assertThat(llm.post(CHAT, chat("x"), "Authorization", "Bearer b").statusCode()).isEqualTo(200);
    HttpResponse<String> waited = llm.post(CHAT, chat("x"), "Authorization", "Bearer a");
    assertThat(waited.statusCode()).isEqualTo(429);
    assertThat(waited.body()).contains("waited for 100 ms");
    release(first);
    assertThat(first.join().statusCode()).isEqualTo(200);
  }

  @Test
  void heartbeat_comesBeforeTheFirstToken() throws Exception {
    start(1, "timeouts: {heartbeat: 20ms}");
    llm.engine().script("stall=headers");
    CompletableFuture<HttpResponse<String>> answer =
        CompletableFuture.supplyAsync(
            () -> llm.post(CHAT, stream("tick")), Thread::startVirtualThread);
    try (Socket client = llm.open(CHAT, stream("tock"))) {
      assertThat(client.getInputStream().readNBytes(15))
          .isEqualTo("HTTP/1.1 200 OK".getBytes(UTF_8));
    }
    release(answer);
    assertThat(answer.join().body()).contains("tick", "[DONE]");
  }

  @Test
  void streams_aThousandAtOnce_ofWhichHalfAreCancelled_leaveNothing() throws Exception {
    start(2, "health: {interval: 0s}");
    streamAndCancel(1000); // the allocator has what it keeps
    long memory = directMemory();
    long heap = heap();

    streamAndCancel(1000);

    Await.until("its memory is free again", () -> directMemory() - memory <= MOST_GROWTH);
    Await.until("its objects are gone", () -> heap() - heap <= MOST_HEAP_GROWTH);
    assertThat(memoryInFlight()).isZero();
    assertThat(
            llm.scrape().lines().filter(line -> line.startsWith("millrace_upstream_requests_in")))
        .hasSize(2)
        .allMatch(line -> line.endsWith(" 0.0"));
  }

  /** What the server's allocator has taken from the system, for buffers and for reuse. */
  private static long directMemory() {
    return ((ByteBufAllocatorMetricProvider) ByteBufAllocator.DEFAULT).metric().usedDirectMemory();
  }

  /** What is used of the heap, after what can be collected is. */
  private long heap() {
    llm.engines(2).forEach(ScriptedEngine::forget);
    System.gc();
    return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
  }

  /** Begins so many streams, cancels every other one, then the rest. */
  private void streamAndCancel(int count) throws Exception {
    for (ScriptedEngine engine : llm.engines(2)) {
      engine.forget();
      engine.always("text=a b c;stall=2");
    }
    List<Socket> clients = new ArrayList<>();
    AtomicInteger begun = new AtomicInteger();
    CountDownLatch ended = new CountDownLatch(count);
    for (int i = 0; i < count; i++) {
      Socket client = llm.open(CHAT, stream("x" + i));
      clients.add(client);
      Thread.startVirtualThread(() -> {
        try (client) {
          InputStream in = client.getInputStream();
          if (in.read() == 'H') {
            begun.incrementAndGet();
          }
          in.transferTo(OutputStream.nullOutputStream());
        } catch (IOException closed) {
          // As the test wants it.
        } finally {
          ended.countDown();
        }
      });
    }
    Await.until("all have begun", () -> begun.get() == count);
    assertThat(llm.engine(0).running() + llm.engine(1).running()).isEqualTo(count);

    Set<String> cancelled = new HashSet<>();
    for (int i = 0; i < count; i += 2) {
      clients.get(i).close();
      cancelled.add(stream("x" + i));
    }
    Await.until(
        "the engines see it", () -> llm.engine(0).running() + llm.engine(1).running() == count / 2);
    assertThat(prompts(End.CANCELLED)).containsExactlyInAnyOrderElementsOf(cancelled);
    for (Socket client : clients) {
      client.close();
    }
    Await.until("nothing runs", () -> llm.engine(0).running() + llm.engine(1).running() == 0);
    ended.await();
    assertThat(prompts(End.CANCELLED)).hasSize(count).doesNotHaveDuplicates();
    assertThat(prompts(End.ANSWERED)).isEmpty();
  }

  /** What clients asked for whose streams ended like this at the engines. */
  private List<String> prompts(End how) {
    return llm.engines(2).stream()
        .flatMap(engine -> engine.requests().stream())
        .filter(request -> request.end() == how)
        .map(request -> stream(request.text().replaceFirst("^.*\"content\":\"([^\"]*)\".*$", "$1")))
        .toList();
  }
}

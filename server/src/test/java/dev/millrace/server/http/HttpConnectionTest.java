package dev.millrace.server.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.server.http.RawClient.Response;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@ExtendWith(NettyLeakExtension.class)
class HttpConnectionTest {
  private static final int MAX_BODY = 1 << 20;

  private static final TestRoutes ROUTES = new TestRoutes();
  private static TestServer server;

  @BeforeAll
  static void start() {
    server =
        new TestServer(
            HttpConfig.defaults()
                .withMaxBodySize(MAX_BODY, 2 * MAX_BODY)
                .withMaxHeaderSize(4096)
                .withMaxPipelined(8),
            ROUTES);
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static void assertError(Response response, int status, String message) {
    assertThat(response.body()).isEqualTo("{\"error\":\"" + message + "\"}");
    assertThat(response.status()).isEqualTo(status);
    assertThat(response.header("content-type")).isEqualTo("application/json");
  }

  private static void assertUsable(RawClient client) throws IOException {
    assertThat(client.get("/text").read().body()).isEqualTo("text");
  }

  @Test
  void connection_isKeptAlive() throws IOException {
    try (RawClient client = server.connect()) {
      for (int i = 0; i < 3; i++) {
        Response response = client.post("/echo", "hello " + i).read();
        assertThat(response.body()).isEqualTo("hello " + i);
        assertThat(response.headers()).doesNotContainKey("connection");
      }
    }
  }

  @Test
  void fullMemory_leavesRequestsUnread() throws IOException {
    try (RawClient client = server.connect()) {
      server.setPressed(true);
      assertThat(client.get("/text").read().body()).as("it was under way").isEqualTo("text");
      client.post("/later/pressed", "");
      for (int i = 0; i < 4; i++) { // on each event loop, after what came before
        try (RawClient other = server.connect()) {
          assertUsable(other);
        }
      }
      assertThat(ROUTES.has("pressed")).isFalse();
      server.setPressed(false);
      ROUTES.awaitLater("pressed").complete("read");
      assertThat(client.read().body()).isEqualTo("read");
      assertUsable(client);
    } finally {
      server.setPressed(false);
    }
  }

  @Test
  void connection_isClosedIfTheClientAsks() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("GET /text HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
      Response response = client.read();
      assertThat(response.body()).isEqualTo("text");
      assertThat(response.header("connection")).isEqualTo("close");
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void http10_closesUnlessAskedToStay() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("GET /text HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
      assertThat(client.read().header("connection")).isEqualTo("keep-alive");
      client.send("GET /text HTTP/1.0\r\n\r\n");
      assertThat(client.read().header("connection")).isEqualTo("close");
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void head_hasTheHeadersOfGet() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("HEAD /text HTTP/1.1\r\nHost: h\r\n\r\n");
      Response response = client.read(true);
      assertThat(response.status()).isEqualTo(200);
      assertThat(response.header("content-length")).isEqualTo("4");
      assertUsable(client);
    }
  }

  @Test
  void answer_withoutABody_saysSo() throws IOException {
    try (RawClient client = server.connect()) {
      Response response = client.get("/nothing").read();
      assertThat(response.header("content-length")).isEqualTo("0");
      assertThat(response.headers()).doesNotContainKey("content-type");
    }
  }

  @Test
  void alive_isTold() throws IOException {
    try (RawClient client = server.connect()) {
      assertThat(client.get("/").read().body()).isEqualTo("{\"status\":\"alive\"}");
    }
  }

  @Test
  void metrics_areClassicUnlessAskedOtherwise() throws IOException {
    try (RawClient client = server.connect()) {
      assertUsable(client);
      Response classic = client.get("/metrics").read();
      assertThat(classic.header("content-type"))
          .isEqualTo("text/plain; version=0.0.4; charset=utf-8");
      assertThat(classic.body())
          .contains("millrace_http_requests_total{code=\"200\",route=\"/text\"}")
          .contains("millrace_http_request_duration_seconds_count{route=\"/text\"}")
          .doesNotContain("# EOF");
      client.send(
          "GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: application/openmetrics-text;version=1.0.0,text/plain\r\n\r\n");
      Response open = client.read();
      assertThat(open.header("content-type")).startsWith("application/openmetrics-text");
      assertThat(open.body()).endsWith("# EOF\n");
    }
  }

  @Test
  void pipelinedRequests_areAnsweredInOrder() throws IOException {
    try (RawClient client = server.connect()) {
      StringBuilder requests = new StringBuilder();
      for (int i = 0; i < 300; i++) {
        String body = Integer.toString(i);
        requests.append(
            "POST /echo HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s".formatted(body.length(), body));
      }
      client.send(requests.toString());
      for (int i = 0; i < 300; i++) {
        assertThat(client.read().body()).isEqualTo(Integer.toString(i));
      }
    }
  }

  @Test
  void pipelinedRequests_thatFinishOutOfOrder_areAnsweredInOrder() throws IOException {
    try (RawClient client = server.connect()) {
      client.post("/later/first", "").post("/later/second", "").get("/text");
      ROUTES.awaitLater("second").complete("2");
      ROUTES.awaitLater("first").complete("1");
      assertThat(client.read().body()).isEqualTo("1");
      assertThat(client.read().body()).isEqualTo("2");
      assertThat(client.read().body()).isEqualTo("text");
    }
  }

  @Test
  void pipelinedRequests_beyondTheBound_waitInTheSocket() throws IOException {
    try (RawClient client = server.connect()) {
      for (int i = 0; i < 8; i++) {
        client.post("/later/bound" + i, "");
        assertThat(ROUTES.awaitLater("bound" + i)).isNotDone();
      }
      client.post("/later/beyond", "");
      assertThat(ROUTES.has("beyond")).isFalse();
      for (int i = 0; i < 8; i++) {
        ROUTES.awaitLater("bound" + i).complete("b" + i);
        assertThat(client.read().body()).isEqualTo("b" + i);
      }
      ROUTES.awaitLater("beyond").complete("beyond");
      assertThat(client.read().body()).isEqualTo("beyond");
    }
  }

  @Test
  void disconnect_cancelsWhatIsAwaited() throws IOException {
    CompletableFuture<String> awaited;
    try (RawClient client = server.connect()) {
      client.post("/later/gone", "");
      awaited = ROUTES.awaitLater("gone");
    }
    Await.until("it is cancelled", awaited::isCancelled);
  }

  @Test
  void body_inPieces_isPutTogether() throws IOException {
    byte[] body = new byte[700_000];
    new Random(1).nextBytes(body);
    try (RawClient client = server.connect()) {
      client.send("POST /echo HTTP/1.1\r\nContent-Length: " + body.length + "\r\n\r\n");
      for (int at = 0; at < body.length; at += 100_000) {
        client.send(java.util.Arrays.copyOfRange(body, at, at + 100_000));
      }
      assertThat(client.read().bytes()).isEqualTo(body);
      assertThat(ROUTES.thread).startsWith("pool");
      assertThat(client.post("/echo", "small").read().body()).isEqualTo("small");
      assertThat(ROUTES.thread).startsWith("millrace-io");
    }
  }

  @Test
  void body_inChunks_isPutTogether() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
      client
          .send("5\r\nhello\r\n1;ext=1\r\n \r\n")
          .send("5\r\nwor")
          .send("ld\r\n0\r\nTrailer: x\r\n\r\n");
      assertThat(client.read().body()).isEqualTo("hello world");
      assertUsable(client);
    }
  }

  @Test
  void body_isAskedFor() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
      assertThat(client.read().status()).isEqualTo(100);
      client.send("hello");
      assertThat(client.read().body()).isEqualTo("hello");
      assertUsable(client);
    }
  }

  @Test
  void body_isAskedForOnlyInTurn() throws IOException {
    try (RawClient client = server.connect()) {
      client.post("/later/before", "");
      client.send("POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
      ROUTES.awaitLater("before").complete("before");
      assertThat(client.read().body()).isEqualTo("before");
      assertThat(client.read().status()).isEqualTo(100);
      client.send("hello");
      assertThat(client.read().body()).isEqualTo("hello");
    }
  }

  @Test
  void expectation_thatIsUnknown_isRefused() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("POST /echo HTTP/1.1\r\nExpect: more\r\nContent-Length: 5\r\n\r\n");
      assertError(client.read(), 417, "unknown expectation 'more'");
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void body_overTheLimit_isSkippedAndTheConnectionStays() throws IOException {
    try (RawClient client = server.connect()) {
      client.post("/echo", "x".repeat(MAX_BODY + 1));
      assertError(client.read(), 413, "the request body is over the limit of 1048576 bytes");
      assertUsable(client);
    }
  }

  @Test
  void body_overTheLimitInChunks_isSkippedAndTheConnectionStays() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
      String chunk = "10000\r\n" + "x".repeat(0x10000) + "\r\n";
      for (int i = 0; i < 20; i++) {
        client.send(chunk);
      }
      client.send("0\r\n\r\n");
      assertError(client.read(), 413, "the request body is over the limit of 1048576 bytes");
      assertUsable(client);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"Content-Length: 5000000000", "Expect: 100-continue\r\nContent-Length: 2000000"})
  void body_farOverTheLimit_closesTheConnection(String headers) throws IOException {
    try (RawClient client = server.connect()) {
      client.send("POST /echo HTTP/1.1\r\n" + headers + "\r\n\r\n");
      Response response = client.read();
      assertError(response, 413, "the request body is over the limit of 1048576 bytes");
      assertThat(response.header("connection")).isEqualTo("close");
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void body_atTheLimit_isTaken() throws IOException {
    try (RawClient client = server.connect()) {
      assertThat(client.post("/echo", "x".repeat(MAX_BODY)).read().bytes()).hasSize(MAX_BODY);
    }
  }

  @Test
  void body_thatIsCutOff_isForgotten() throws IOException {
    try (TestServer own = new TestServer(HttpConfig.defaults(), ROUTES)) {
      for (String part : new String[] {"", "x", "x".repeat(200_000)}) {
        try (RawClient client = own.connect()) {
          client.send("POST /echo HTTP/1.1\r\nContent-Length: 900000\r\n\r\n" + part);
          Await.until("connected", () -> own.frontEnd().connections() == 1);
        }
        Await.until("gone", () -> own.frontEnd().connections() == 0);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "garbage\r\n\r\n",
        "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\r\n\r\n",
        "GET /text\r\n\r\n",
        "GET /text HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /text HTTP/1.1\r\nna me: x\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      })
  void garbage_isRefusedAndTheConnectionClosed(String garbage) throws IOException {
    try (RawClient client = server.connect()) {
      client.send(garbage);
      Response response = client.read();
      assertThat(response.status()).isEqualTo(400);
      assertThat(response.body()).startsWith("{\"error\":\"malformed HTTP: ");
      assertThat(response.header("connection")).isEqualTo("close");
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void requestLine_overTheLimit_isRefused() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("GET /" + "x".repeat(5000) + " HTTP/1.1\r\n\r\n");
      assertError(client.read(), 414, "the request line is over the limit of 4096 bytes");
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void headers_overTheLimit_areRefused() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("GET /text HTTP/1.1\r\nx: " + "x".repeat(5000) + "\r\n\r\n");
      assertError(client.read(), 431, "the headers are over the limit of 4096 bytes");
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void version_thatIsUnknown_isRefused() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("GET /text HTTP/3.0\r\n\r\n");
      assertThat(client.read().status()).isEqualTo(505);
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void transferCoding_thatIsUnknown_isRefused() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
      assertError(client.read(), 501, "transfer coding 'gzip, chunked' is not supported");
      assertThat(client.isClosedByServer()).isTrue();
    }
    try (RawClient client = server.connect()) {
      client.send("POST /echo HTTP/1.1\r\nTransfer-Encoding: Chunked \r\n\r\n1\r\na\r\n0\r\n\r\n");
      assertThat(client.read().body()).isEqualTo("a");
    }
  }

  @Test
  void path_thatIsNotServed_isNotFound() throws IOException {
    try (RawClient client = server.connect()) {
      assertError(client.get("/other").read(), 404, "Not Found");
      assertError(client.post("/other", "with a body").read(), 404, "Not Found");
      assertUsable(client);
    }
  }

  @Test
  void method_thatIsNotAllowed_isRefused() throws IOException {
    try (RawClient client = server.connect()) {
      Response response = client.post("/text", "with a body").read();
      assertError(response, 405, "Method Not Allowed");
      assertThat(response.header("allow")).isEqualTo("GET, HEAD");
      assertThat(client.get("/echo").read().header("allow")).isEqualTo("POST");
      assertUsable(client);
    }
  }

  @Test
  void retryAfter_isRoundedUp() throws IOException {
    try (RawClient client = server.connect()) {
      Response response = client.get("/busy").read();
      assertError(response, 429, "too busy");
      assertThat(response.header("retry-after")).isEqualTo("2");
      assertUsable(client);
    }
  }

  @Test
  void bug_isAnInternalError() throws IOException {
    try (RawClient client = server.connect()) {
      assertError(client.get("/bug").read(), 500, "a bug");
      assertUsable(client);
    }
  }

  private static byte[] gzip(byte[] bytes) throws IOException {
    ByteArrayOutputStream compressed = new ByteArrayOutputStream();
    try (var out = new GZIPOutputStream(compressed)) {
      out.write(bytes);
    }
    return compressed.toByteArray();
  }

  private static void sendCompressed(RawClient client, String encoding, byte[] body)
      throws IOException {
    client.send(
        "POST /echo HTTP/1.1\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
            .formatted(encoding, body.length));
    client.send(body);
  }

  @Test
  void body_thatIsCompressed_isDecompressed() throws IOException {
    try (RawClient client = server.connect()) {
      byte[] body = "hello".repeat(100).getBytes(java.nio.charset.StandardCharsets.UTF_8);
      sendCompressed(client, "gzip", gzip(body));
      assertThat(client.read().bytes()).isEqualTo(body);
      sendCompressed(client, "identity", body);
      assertThat(client.read().bytes()).isEqualTo(body);
    }
  }

  @Test
  void body_thatIsABomb_isRefused() throws IOException {
    try (RawClient client = server.connect()) {
      sendCompressed(client, "gzip", gzip(new byte[50 << 20]));
      assertError(
          client.read(), 413, "the decompressed request body is over the limit of 2097152 bytes");
      sendCompressed(client, "gzip", new byte[10]);
      assertThat(client.read().status()).isEqualTo(400);
      assertUsable(client);
    }
  }

  @Test
  void compression_thatIsUnknown_isRefused() throws IOException {
    try (RawClient client = server.connect()) {
      sendCompressed(client, "br", new byte[10]);
      Response response = client.read();
      assertError(response, 501, "Unsupported compression type");
      assertThat(response.header("accept-encoding")).isEqualTo("gzip, deflate");
      assertUsable(client);
    }
  }

  @Test
  void answer_isCompressedForWhoAcceptsIt() throws IOException {
    try (RawClient client = server.connect()) {
      client.send("GET /big/100000 HTTP/1.1\r\nAccept-Encoding: deflate;q=0.5, gzip\r\n\r\n");
      Response response = client.read();
      assertThat(response.header("content-encoding")).isEqualTo("gzip");
      assertThat(response.header("vary")).isEqualTo("Accept-Encoding");
      try (var in = new GZIPInputStream(new java.io.ByteArrayInputStream(response.bytes()))) {
        assertThat(in.readAllBytes()).isEqualTo(new byte[100_000]);
      }
      client.send("GET /big/100 HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n");
      assertThat(client.read().headers()).doesNotContainKey("content-encoding");
      client.send(
          "POST /echo HTTP/1.1\r\nAccept-Encoding: gzip\r\nContent-Length: 9000\r\n\r\n"
              + "x".repeat(9000));
      response = client.read();
      assertThat(response.headers()).doesNotContainKey("content-encoding");
      assertThat(response.body()).isEqualTo("x".repeat(9000));
    }
  }

  @Test
  void client_thatReadsNothing_stopsBeingReadFrom() throws IOException {
    try (RawClient client = server.connect()) {
      client.socket().setSoTimeout(30_000);
      for (int i = 0; i < 20; i++) {
        client.get("/big/1000000");
      }
      for (int i = 0; i < 20; i++) {
        assertThat(client.read().bytes()).hasSize(1_000_000);
      }
      assertUsable(client);
    }
  }
}

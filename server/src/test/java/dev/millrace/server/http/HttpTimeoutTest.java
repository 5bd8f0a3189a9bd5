package dev.millrace.server.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.server.http.RawClient.Response;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@ExtendWith(NettyLeakExtension.class)
class HttpTimeoutTest {
  private static final Duration LONG = Duration.ofSeconds(60);
  private static final Duration SHORT = Duration.ofMillis(200);

  private static TestServer server(Duration idle, Duration request, Duration write) {
    return new TestServer(
        HttpConfig.defaults().withTimeouts(idle, request, write), new TestRoutes());
  }

  @Test
  void connection_thatIsIdle_isClosed() throws IOException {
    try (TestServer server = server(SHORT, LONG, LONG);
        RawClient fresh = server.connect();
        RawClient used = server.connect()) {
      assertThat(used.get("/text").read().status()).isEqualTo(200);
      assertThat(fresh.isClosedByServer()).isTrue();
      assertThat(used.isClosedByServer()).isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "GET /te",
        "GET /text HTTP/1.1\r\nHo",
        "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel",
        "POST /echo HTTP/1.1\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhel",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"
      })
  void request_thatDoesNotEnd_isGivenUp(String part) throws IOException {
    try (TestServer server = server(LONG, SHORT, LONG);
        RawClient client = server.connect()) {
      Response response = client.send(part).read();
      assertThat(response.status()).isEqualTo(408);
      assertThat(response.body()).isEqualTo("{\"error\":\"the request did not arrive in time\"}");
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void request_thatDrips_isGivenUp() throws IOException {
    try (TestServer server = server(LONG, SHORT, LONG);
        RawClient client = server.connect()) {
      client.send("GET /text HTTP/1.1\r\n");
      client.socket().setSoTimeout(20);
      assertThat(drip(client).status()).isEqualTo(408);
    }
  }

  /** Sends header after header until there is an answer. */
  private static Response drip(RawClient client) throws IOException {
    for (int i = 0; i < 500; i++) {
      try {
        return client.send("x" + i + ": y\r\n").read();
      } catch (SocketTimeoutException nothingYet) {
        // Drips on.
      }
    }
    throw new AssertionError("there is no answer");
  }

  @Test
  void inference_thatTakesLong_isNotIdle() throws IOException {
    TestRoutes routes = new TestRoutes();
    try (TestServer server =
            new TestServer(HttpConfig.defaults().withTimeouts(SHORT, SHORT, SHORT), routes);
        RawClient client = server.connect()) {
      client.post("/later/long", "");
      CompletableFuture<String> answer = routes.awaitLater("long");
      answer.completeOnTimeout("done", 1, TimeUnit.SECONDS);
      assertThat(client.read().body()).isEqualTo("done");
    }
  }

  @Test
  void client_thatWaitsForItsTurnToSend_isNotOverdue() throws IOException {
    TestRoutes routes = new TestRoutes();
    try (TestServer server =
            new TestServer(HttpConfig.defaults().withTimeouts(LONG, SHORT, LONG), routes);
        RawClient client = server.connect()) {
      client.post("/later/long", "");
      client.send("POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
      routes.awaitLater("long").completeOnTimeout("done", 1, TimeUnit.SECONDS);
      assertThat(client.read().body()).isEqualTo("done");
      assertThat(client.read().status()).isEqualTo(100);
      assertThat(client.send("hello").read().body()).isEqualTo("hello");
    }
  }

  @Test
  void client_thatTakesNothing_isCutOff() throws IOException {
    try (TestServer server = server(LONG, LONG, SHORT);
        RawClient client = server.connect()) {
      client.get("/big/50000000");
      Await.until("connected", () -> server.frontEnd().connections() == 1);
      Await.until("cut off", () -> server.frontEnd().connections() == 0);
    }
  }

  @Test
  void draining_closesAfterTheNextAnswer() throws IOException {
    try (TestServer server = server(LONG, LONG, LONG);
        RawClient client = server.connect()) {
      assertThat(client.get("/text").read().headers()).doesNotContainKey("connection");
      server.frontEnd().startDraining();
      assertThat(client.get("/text").read().header("connection")).isEqualTo("close");
      assertThat(client.isClosedByServer()).isTrue();
    }
  }

  @Test
  void shutdown_sendsWhatIsAnswered() throws IOException {
    try (TestServer server = server(LONG, LONG, LONG);
        RawClient slow = server.connect()) {
      slow.get("/big/20000000");
      Await.until("connected", () -> server.frontEnd().connections() == 1);
      // Some of it has come: the answer is there, and most of it still in the server.
      assertThat(slow.socket().getInputStream().readNBytes(1000)).hasSize(1000);
      CompletableFuture<Void> done = server.frontEnd().shutdown();
      assertThat(slow.socket().getInputStream().readAllBytes()).hasSizeGreaterThan(19_999_000);
      Await.until("all are closed", done::isDone);
    }
  }

  @Test
  void shutdown_closesIdleConnectionsAndFinishesOthers() throws IOException {
    TestRoutes routes = new TestRoutes();
    try (TestServer server = new TestServer(HttpConfig.defaults(), routes);
        RawClient idle = server.connect();
        RawClient busy = server.connect();
        RawClient sending = server.connect()) {
      assertThat(idle.get("/text").read().status()).isEqualTo(200);
      busy.post("/later/busy", "");
      sending.send("POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel");
      CompletableFuture<String> answer = routes.awaitLater("busy");
      Await.until("all are there", () -> server.frontEnd().connections() == 3);
      CompletableFuture<Void> done = server.frontEnd().shutdown();
      assertThat(idle.isClosedByServer()).isTrue();
      assertThat(done).isNotDone();
      answer.complete("answer");
      assertThat(busy.read().body()).isEqualTo("answer");
      assertThat(sending.send("lo").read().body()).isEqualTo("hello");
      Await.until("all are closed", done::isDone);
    }
  }
}

package dev.millrace.server.http;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.handler.codec.http.HttpMethod;
import java.io.IOException;
import java.util.Arrays;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Answers that come piece by piece. */
@ExtendWith(NettyLeakExtension.class)
class ResponseStreamTest {
  private final BlockingQueue<Started> started = new LinkedBlockingQueue<>();
  private final AtomicInteger aborted = new AtomicInteger();
  private final TestRoutes routes = new TestRoutes();
  private final TestServer server =
      new TestServer(
          HttpConfig.defaults(),
          routes,
          router -> router.add(HttpMethod.GET, "/stream", this::stream));

  /** An answer that has begun. */
  private record Started(HttpExchange exchange, ResponseStream stream) {
    void write(String... pieces) {
      exchange
          .eventLoop()
          .execute(() -> {
            for (String text : pieces) {
              stream.write(exchange.newBody(text.length()).writeBytes(text.getBytes(UTF_8)));
            }
            stream.flush();
          });
    }

    void finish() {
      exchange.eventLoop().execute(stream::finish);
    }

    void breakOff() {
      exchange.eventLoop().execute(stream::breakOff);
    }
  }

  private void stream(HttpExchange exchange) {
    exchange.onAbort(aborted::incrementAndGet);
    ResponseStream opened =
        exchange.header("X-Kind", "stream").stream(200, HttpExchange.OCTET_STREAM, () -> {});
    started.add(new Started(exchange, opened));
  }

  @AfterEach
  void stop() {
    server.close();
  }

  @Test
  void pieces_comeAsChunks_andTheConnectionStays() throws Exception {
    try (RawClient client = server.connect()) {
      client.get("/stream");
      Started answer = started.take();
      answer.write("hello");
      RawClient.Response head = client.read(true);
      assertThat(head.header("transfer-encoding")).isEqualTo("chunked");
      assertThat(head.header("x-kind")).isEqualTo("stream");
      assertThat(client.readText(10)).isEqualTo("5\r\nhello\r\n");
      answer.write("x".repeat(5000));
      assertThat(client.readText(6 + 5000 + 2)).startsWith("1388\r\nxxx").endsWith("x\r\n");
      answer.finish();
      assertThat(client.readText(5)).isEqualTo("0\r\n\r\n");
      assertThat(client.get("/text").read().body()).isEqualTo("text");
    }
    assertThat(aborted).hasValue(0);
  }

  @Test
  void smallPiecesOfOneTime_makeOneChunk_inTheirOrder() throws Exception {
    try (RawClient client = server.connect()) {
      client.get("/stream");
      Started answer = started.take();
      answer.write("a", "bc", "x".repeat(5000), "d", "ef");
      client.read(true);
      assertThat(client.readText(3 + 3 + 2)).isEqualTo("3\r\nabc\r\n");
      assertThat(client.readText(6 + 5000 + 2)).startsWith("1388\r\nxxx").endsWith("x\r\n");
      assertThat(client.readText(3 + 3 + 2)).isEqualTo("3\r\ndef\r\n");
      String[] many = new String[100];
      Arrays.fill(many, "y".repeat(1000)); // more than is gathered for one chunk
      answer.write(many);
      answer.finish();
      int[] sizes = {32_000, 32_000, 32_000, 4_000};
      for (int size : sizes) {
        String head = Integer.toHexString(size) + "\r\n";
        assertThat(client.readText(head.length() + size + 2))
            .isEqualTo(head + "y".repeat(size) + "\r\n");
      }
      assertThat(client.readText(5)).isEqualTo("0\r\n\r\n");
    }
  }

  @Test
  void pieces_waitForTheAnswersBefore_andOthersForThem() throws Exception {
    try (RawClient client = server.connect()) {
      client.post("/later/a", "").get("/stream").get("/text");
      Started answer = started.take();
      answer.write("second");
      answer.finish();
      routes.awaitLater("a").complete("first");
      assertThat(client.read().body()).isEqualTo("first");
      client.read(true);
      assertThat(client.readText(11 + 5)).isEqualTo("6\r\nsecond\r\n0\r\n\r\n");
      assertThat(client.read().body()).isEqualTo("text");
    }
  }

  @Test
  void client_ofHttp10_getsThePiecesUntilTheConnectionCloses()
      throws IOException, InterruptedException {
    try (RawClient client = server.connect()) {
      client.send("GET /stream HTTP/1.0\r\n\r\n");
      Started answer = started.take();
      answer.write("plain");
      assertThat(client.read(true).headers()).doesNotContainKey("transfer-encoding");
      answer.finish();
      assertThat(client.readText(100)).isEqualTo("plain");
    }
  }

  @Test
  void client_thatGoesAway_isNoticed() throws Exception {
    Started answer;
    try (RawClient client = server.connect()) {
      client.get("/stream");
      answer = started.take();
      answer.write("hello");
      client.read(true);
    }
    Await.until("it is noticed", () -> aborted.get() == 1);
    answer.write("nobody");
    answer.finish();
  }

  @Test
  void answer_thatBreaksOff_hasNoEnd() throws Exception {
    try (RawClient client = server.connect()) {
      client.get("/stream");
      Started answer = started.take();
      answer.write("half");
      client.read(true);
      assertThat(client.readText(9)).isEqualTo("4\r\nhalf\r\n");
      answer.breakOff();
      assertThat(client.readText(5)).isEmpty();
    }
  }
}

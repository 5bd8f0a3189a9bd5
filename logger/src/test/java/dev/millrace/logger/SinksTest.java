package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.spi.InferenceLogger;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class SinksTest {
  @TempDir private Path directory;
  private final Records.Counts counts = new Records.Counts();
  private final AtomicInteger status = new AtomicInteger(202);
  private final List<String> posted = new CopyOnWriteArrayList<>();
  private HttpServer server;

  @BeforeEach
  void startServer() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/events",
        exchange -> {
          String body = new String(exchange.getRequestBody().readAllBytes(), UTF_8);
          if (status.get() / 100 == 2) {
            posted.add(
                exchange.getRequestHeaders().getFirst("ce-type")
                    + " "
                    + exchange.getRequestHeaders().getFirst("ce-id")
                    + " "
                    + exchange.getRequestHeaders().getFirst("Content-Type")
                    + " "
                    + body);
          }
          exchange.sendResponseHeaders(status.get(), -1);
          exchange.close();
        });
    server.createContext(
        "/subjects/inferenceschema/versions/4",
        exchange -> {
          byte[] body =
              ("{\"subject\":\"inferenceschema\",\"version\":4,\"id\":77,\"schema\":\""
                      + HopsworksFormat.V4.toString().replace("\"", "\\\"")
                      + "\"}")
                  .getBytes(UTF_8);
          exchange.sendResponseHeaders(200, body.length);
          exchange.getResponseBody().write(body);
          exchange.close();
        });
    server.start();
  }

  @AfterEach
  void stopServer() {
    server.stop(0);
  }

  private String url() {
    return "http://localhost:" + server.getAddress().getPort();
  }

  private static InferenceLogger model(InferenceLogger logger) {
    return logger.forModel(new ModelId("m", "3"), Records.settings());
  }

  @Test
  void http_postsCloudEvents() throws Exception {
    InferenceLogger logger = Records.start(counts, "sink", "http", "url", url() + "/events");
    Records.log(model(logger), "id-1", 1);
    Await.until("both came", () -> posted.size() == 2);
    assertThat(posted)
        .anySatisfy(text ->
            assertThat(text)
                .startsWith("org.kubeflow.serving.inference.request id-1 application/json {\"id\""))
        .anySatisfy(text -> assertThat(text).startsWith("org.kubeflow.serving.inference.response"));
    logger.close(Duration.ofSeconds(5));
  }

  @Test
  void http_promised_sendsInOrder_untilTheServerTakesIt() throws Exception {
    status.set(503);
    InferenceLogger logger =
        Records.start(
            counts,
            "sink",
            "http",
            "url",
            url() + "/events",
            "delivery",
            "at-least-once",
            "spool",
            directory.resolve("s"));
    InferenceLogger model = model(logger);
    for (int i = 0; i < 10; i++) {
      Records.log(model, "id-" + i, 1);
    }
    Await.until("it has failed twice", () -> counts.of("sent") > 1);
    status.set(200);
    Await.until("all came", () -> posted.size() == 20);
    assertThat(posted.get(19)).contains("id-9");
    assertThat(posted.get(2)).contains("id-1");
    status.set(413);
    Records.log(model, "large", 1);
    Await.until("it is dropped", () -> counts.of("TOO_LARGE") == 2);
    status.set(400);
    Records.log(model, "wrong", 1);
    Await.until("it is dropped", () -> counts.of("REFUSED") == 2);
    logger.close(Duration.ofSeconds(5));
  }

  @Test
  void http_needsAnAddress() {
    assertThatThrownBy(() -> Records.start(counts, "sink", "http"))
        .hasMessageContaining("needs the setting logger-url");
    assertThatThrownBy(() -> Records.start(counts, "sink", "http", "url", "ftp://x"))
        .hasMessageContaining("the address of an HTTP server");
  }

  @Test
  void files_areRolled_andTheOldestDeleted() throws Exception {
    Path file = directory.resolve("logs/inference.log");
    InferenceLogger logger =
        Records.start(counts, "sink", "file", "file", file, "file-size", "100KB", "files", 3);
    InferenceLogger model = model(logger);
    for (int i = 0; i < 3000; i++) {
      Records.log(model, "id-" + i, i);
    }
    Await.until("all are written", () -> counts.of("acknowledged") == 6000);
    logger.close(Duration.ofSeconds(5));
    assertThat(directory.resolve("logs")).isDirectoryContaining("glob:**inference.log.2");
    assertThat(directory.resolve("logs/inference.log.3")).doesNotExist();
    List<String> last = Files.readAllLines(file);
    assertThat(last.getLast()).startsWith("{\"time\"").contains("\"id\":\"id-2999\"").endsWith("}");
    List<String> before = Files.readAllLines(directory.resolve("logs/inference.log.1"));
    assertThat(before.getLast()).endsWith("}");
  }

  @Test
  void file_ofModelsWithDifferentPromises_hasTheLinesOfAll() throws Exception {
    Path file = directory.resolve("inference.log");
    InferenceLogger logger =
        Records.start(counts, "sink", "file", "file", file, "spool", directory.resolve("spool"));
    InferenceLogger model = model(logger);
    InferenceLogger promised =
        logger.forModel(
            new ModelId("promised", "1"), Records.settings("delivery", "at-least-once"));
    for (int i = 0; i < 500; i++) {
      Records.log(model, "id-" + i, i);
      Records.log(promised, "id-" + i, i);
    }
    Await.until("all are written", () -> counts.of("acknowledged") == 2000);
    logger.close(Duration.ofSeconds(5));
    assertThat(Files.readAllLines(file))
        .hasSize(2000)
        .allSatisfy(line -> assertThat(line).startsWith("{\"time\"").endsWith("}"));
  }

  @Test
  void standardOutput_hasALineForEach() throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    StandardOutputSinkProvider.Lines lines = new StandardOutputSinkProvider.Lines(out);
    AtomicInteger answers = new AtomicInteger();
    for (String text : List.of("one", "two")) {
      lines.send(
          new LogMessage("m", "", 1, new byte[0], List.of(), text.getBytes(UTF_8)),
          failure -> answers.incrementAndGet());
    }
    lines.close();
    assertThat(out.toString(UTF_8)).isEqualTo("one\ntwo\n");
    assertThat(answers).hasValue(2);
  }

  @Test
  void schemaRegistry_isComparedWithWhatIsWritten() {
    SchemaRegistry registry = new SchemaRegistry(URI.create(url()));
    assertThat(registry.check(HopsworksFormat.SUBJECT, 4, HopsworksFormat.V4)).isEqualTo(77);
    assertThatThrownBy(() -> registry.check(HopsworksFormat.SUBJECT, 4, HopsworksFormat.V3))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("has the fields [servingId:int")
        .hasMessageContaining("[modelId:int");
    assertThatThrownBy(() -> registry.check(HopsworksFormat.SUBJECT, 3, HopsworksFormat.V3))
        .hasMessageContaining("no version 3 of subject 'inferenceschema'");
    assertThat(
            new SchemaRegistry(URI.create("http://localhost:1"))
                .check(HopsworksFormat.SUBJECT, 4, HopsworksFormat.V4))
        .isNegative();
  }
}

package dev.millrace.server.llm;

import static dev.millrace.server.llm.LlmFixture.CHAT;
import static dev.millrace.server.llm.LlmFixture.chat;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.llm.Dialect;
import dev.millrace.testing.llm.ReceivedRequest;
import java.io.IOException;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** What is asked in another way than OpenAI's clients ask for text: forms, and Anthropic's API. */
@ExtendWith(NettyLeakExtension.class)
class OtherClientsTest {
  private static final String MESSAGES = "/v1/messages";

  @TempDir Path directory;
  private LlmFixture llm;

  @BeforeEach
  void begin() throws IOException {
    llm = new LlmFixture(directory, 1, Dialect.MAIN);
  }

  private void start(String... lines) throws IOException {
    llm.model("scripted", llm.engines(1), lines).start();
  }

  @AfterEach
  void stop() throws IOException {
    llm.close();
  }

  @Test
  void form_hasTheNameThatTheModelHasAtTheEngine() throws Exception {
    start("model: org/large", "aliases: [whisper-1]");
    String form =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n\r\nRIFF\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n%s\r\n--b--\r\n";

    HttpResponse<String> answer =
        llm.send(
            llm.request("/v1/audio/transcriptions")
                .header("Content-Type", "multipart/form-data; boundary=b")
                .POST(BodyPublishers.ofString(form.formatted("whisper-1")))
                .build());

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    ReceivedRequest received = llm.engine().awaitRequests(1).getFirst();
    assertThat(new String(received.body(), UTF_8)).isEqualTo(form.formatted("org/large"));
    assertThat(received.header("content-type")).isEqualTo("multipart/form-data; boundary=b");
  }

  @Test
  void messages_whoseStreamBreaksOff_endWithAnErrorThatAnthropicsClientsHeed() throws Exception {
    start();
    llm.engine().script("close=1");

    HttpResponse<String> answer =
        llm.post(MESSAGES, LlmFixture.stream("x"), "anthropic-version", "2023-06-01");

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body())
        .startsWith("event: message_start\ndata: {")
        .endsWith(
            "\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"an upstream closed the connection before its answer was complete\"}}\n\n");
  }

  @Test
  void keys_goOn_ifTheyShall() throws Exception {
    start("forward-authorization: true");

    llm.post(MESSAGES, chat("x"), "x-api-key", "mine");
    llm.post(CHAT, chat("x"), "Authorization", "Bearer mine");

    assertThat(llm.engine().requests())
        .extracting(request -> request.header("x-api-key"))
        .containsExactly("mine", null);
    assertThat(llm.engine().requests())
        .extracting(request -> request.header("authorization"))
        .containsExactly(null, "Bearer mine");
  }
}

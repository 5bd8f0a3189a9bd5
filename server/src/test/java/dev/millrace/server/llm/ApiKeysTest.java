package dev.millrace.server.llm;

import static dev.millrace.server.llm.LlmFixture.CHAT;
import static dev.millrace.server.llm.LlmFixture.chat;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import dev.millrace.server.http.Await;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ApiKeysTest {
  @TempDir Path directory;
  @TempDir Path elsewhere;

  @Test
  void keys_areAskedFor_andChangeWhileTheServerRuns() throws IOException {
    Path file = Files.writeString(elsewhere.resolve("keys"), "# ours\nalice k-1\nk-2\n");
    try (LlmFixture llm = new LlmFixture(directory, 1)) {
      llm.with(new LlmConfig("/openai", Optional.of(file)))
          .model("scripted", java.util.List.of(llm.engine()))
          .start();

      HttpResponse<String> refused = llm.post(CHAT, chat("x"));
      assertThat(refused.statusCode()).isEqualTo(401);
      assertThat(refused.body()).contains("authentication_error", "invalid_api_key");
      assertThat(status(llm, "k-3")).isEqualTo(401);
      assertThat(status(llm, "k-1")).isEqualTo(200);
      assertThat(status(llm, "k-2")).isEqualTo(200);
      assertThat(llm.post(CHAT, chat("x"), "x-api-key", "k-3").statusCode()).isEqualTo(401);
      assertThat(llm.post(CHAT, chat("x"), "x-api-key", "k-1").statusCode()).isEqualTo(200);
      assertThat(llm.get("/openai/v1/models").statusCode()).isEqualTo(401);
      assertThat(llm.engine().requests())
          .hasSize(3)
          .allMatch(request -> request.header("authorization") == null)
          .allMatch(request -> request.header("x-api-key") == null);

      Files.writeString(file, "k-3\n");
      Await.until("the new key is known", () -> status(llm, "k-3") == 200);
      assertThat(status(llm, "k-1")).isEqualTo(401);
    }
  }

  @Test
  void fileThatIsNotThere_isSaidSo() {
    Path file = elsewhere.resolve("keys");
    assertThatThrownBy(() -> new ApiKeys(Optional.of(file)))
        .isInstanceOf(InferenceException.class)
        .hasMessage("the file of API keys %s does not exist", file);
  }

  private static int status(LlmFixture llm, String key) {
    return llm.post(CHAT, chat("x"), "Authorization", "Bearer " + key).statusCode();
  }
}

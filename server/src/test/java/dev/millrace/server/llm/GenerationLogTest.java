package dev.millrace.server.llm;

import static dev.millrace.server.llm.LlmFixture.CHAT;
import static dev.millrace.server.llm.LlmFixture.chat;
import static dev.millrace.server.llm.LlmFixture.stream;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Settings;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.api.spi.LogListener;
import dev.millrace.api.spi.LoggerProvider;
import dev.millrace.backend.llm.LlmBackend;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.LoggerConfig;
import dev.millrace.server.http.Await;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
class GenerationLogTest {
  private record Seen(Side side, String id, String text, boolean failed) {}

  private final Queue<Seen> seen = new ConcurrentLinkedQueue<>();

  @TempDir Path directory;

  /** Remembers what it is told. */
  private final class Memory implements LoggerProvider {
    @Override
    public String name() {
      return "memory";
    }

    @Override
    public InferenceLogger start(
        Settings settings, Map<String, String> environment, LogListener listener) {
      return entry ->
          seen.add(
              new Seen(
                  entry.side(),
                  entry.id(),
                  entry.tensors().isEmpty() ? "" : entry.tensors().tensor(0).toStrings().getFirst(),
                  entry.error() != null));
    }
  }

  @Test
  void requestsAndAnswers_areTakenNoteOf_streamsPutTogether() throws IOException {
    try (LlmFixture llm = new LlmFixture(directory, 1)) {
      Plugins plugins = new Plugins(List.of(new LlmBackend()), List.of(), List.of(new Memory()));
      llm.with(llm.config().withLogger(LoggerConfig.of(Map.of())), plugins)
          .model("scripted", List.of(llm.engine()))
          .start();

      llm.post(CHAT, chat("whole"), "X-Request-Id", "a");
      llm.post(CHAT, stream("one two"), "X-Request-Id", "b");
      llm.engine().script("status=400");
      llm.post(CHAT, chat("bad"), "X-Request-Id", "c");

      Await.until("all is there", () -> seen.size() == 6);
      List<Seen> all = List.copyOf(seen);
      assertThat(all.get(0)).isEqualTo(new Seen(Side.MODEL_INPUTS, "a", chat("whole"), false));
      assertThat(all.get(1).text()).contains("\"content\":\"whole\"");
      assertThat(all.get(2).text()).isEqualTo(stream("one two"));
      assertThat(all.get(3).id()).isEqualTo("b");
      assertThat(all.get(3).text())
          .startsWith("{\"text\":\"one two\"")
          .contains("\"finish_reason\":\"stop\"", "\"done\":true")
          .doesNotContain("\"completion_tokens\":0");
      assertThat(all.get(5).failed()).isTrue();
    }
  }
}

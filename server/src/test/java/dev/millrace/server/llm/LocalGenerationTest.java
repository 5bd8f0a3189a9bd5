package dev.millrace.server.llm;

import static dev.millrace.server.llm.LlmFixture.CHAT;
import static dev.millrace.server.llm.LlmFixture.chat;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.GenerationRequest;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.TextGenerator;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.http.Await;
import dev.millrace.server.http.NettyLeakExtension;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Language models of this process that fail before they begin. */
@ExtendWith(NettyLeakExtension.class)
class LocalGenerationTest {
  /** Fails in the way that its model's file says. */
  private static final class FailingBackend implements Backend {
    private final AtomicInteger closed = new AtomicInteger();

    @Override
    public String name() {
      return "failing";
    }

    @Override
    public String modelFiles() {
      return "model.failing";
    }

    @Override
    public Optional<Path> findModel(Path path) {
      return Optional.of(path.resolve("model.failing")).filter(Files::exists);
    }

    @Override
    public TextGenerator load(ModelSource source) {
      String how;
      try {
        how = Files.readString(source.path());
      } catch (IOException e) {
        throw InferenceException.invalidArgument(e.toString());
      }
      ModelMetadata metadata =
          new ModelMetadata(source.id(), "failing", List.of(), List.of(), 0, Map.of());
      return new Failing(metadata, how, closed);
    }
  }

  private record Failing(ModelMetadata metadata, String how, AtomicInteger closed)
      implements TextGenerator {
    @Override
    public Set<GenerationRequest.Operation> operations() {
      if (how.equals("operations")) {
        throw new IllegalStateException("broken");
      }
      return Set.of(GenerationRequest.Operation.CHAT);
    }

    @Override
    public Flow.Publisher<Part> generate(GenerationRequest request) {
      return switch (how) {
        case "unavailable" -> throw InferenceException.unavailable("it is gone");
        case "broken" -> throw new IllegalStateException("broken");
        default ->
            subscriber -> {
              throw new IllegalStateException("broken");
            };
      };
    }

    @Override
    public void close() {
      closed.incrementAndGet();
    }
  }

  @TempDir Path directory;
  private final FailingBackend backend = new FailingBackend();
  private LlmFixture llm;

  @BeforeEach
  void begin() throws IOException {
    llm = new LlmFixture(directory, 0);
    llm.with(llm.config(), Plugins.of(List.of(backend)));
  }

  @AfterEach
  void stop() throws IOException {
    llm.close();
  }

  @ParameterizedTest
  @CsvSource({"unavailable, 503", "broken, 500", "subscribe, 500", "operations, 500"})
  void model_thatFailsBeforeItBegins_isToldOf_andCanBeUnloaded(String how, int status)
      throws IOException {
    Path model = Files.createDirectories(directory.resolve("scripted"));
    Files.writeString(model.resolve("model.failing"), how);
    llm.start();

    HttpResponse<String> small = llm.post(CHAT, chat("x"));
    HttpResponse<String> large = llm.post(CHAT, chat("x".repeat(1 << 20))); // read by a worker

    assertThat(small.statusCode()).as(small.body()).isEqualTo(status);
    assertThat(small.body()).startsWith("{\"error\":{\"message\":\"");
    assertThat(large.statusCode()).as(large.body()).isEqualTo(status);
    assertThat(backend.closed).hasValue(0);
    assertThat(llm.post("/v2/repository/models/scripted/unload", "").statusCode()).isEqualTo(200);
    Await.until("nobody uses it", () -> backend.closed.get() == 1);
  }
}

package dev.millrace.server.llm;

import static dev.millrace.server.llm.LlmFixture.CHAT;
import static dev.millrace.server.llm.LlmFixture.chat;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamModel;
import dev.millrace.api.spi.UpstreamPolicy;
import dev.millrace.backend.llm.LlmBackend;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.http.NettyLeakExtension;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Models for which nobody answers at the moment, as while their engine is started again. */
@ExtendWith(NettyLeakExtension.class)
class NoUpstreamTest {
  /** Nobody answers for its models; {@code fallback} in their file's name means that one has it. */
  private static final class AbsentBackend implements Backend {
    @Override
    public String name() {
      return "absent";
    }

    @Override
    public String modelFiles() {
      return "*.absent";
    }

    @Override
    public Optional<Path> findModel(Path path) {
      return List.of("alone.absent", "fallback.absent").stream()
          .map(path::resolve)
          .filter(Files::exists)
          .findFirst();
    }

    @Override
    public UpstreamModel load(ModelSource source) {
      UpstreamPolicy usual = UpstreamPolicy.defaults();
      UpstreamPolicy policy =
          new UpstreamPolicy(
              usual.balancing(),
              usual.times(),
              usual.limits(),
              usual.watch(),
              List.of(),
              List.of(),
              source.path().endsWith("fallback.absent") ? Optional.of("small") : Optional.empty(),
              usual.retries(),
              usual.retryOn(),
              false,
              true);
      return new Absent(
          new ModelMetadata(source.id(), "absent", List.of(), List.of(), 0, Map.of()), policy);
    }
  }

  private record Absent(ModelMetadata metadata, UpstreamPolicy policy) implements UpstreamModel {
    @Override
    public List<Upstream> upstreams() {
      return List.of();
    }

    @Override
    public void close() {}
  }

  @TempDir Path directory;
  private LlmFixture llm;

  @BeforeEach
  void begin() throws IOException {
    llm = new LlmFixture(directory, 1);
    llm.with(llm.config(), Plugins.of(List.of(new LlmBackend(), new AbsentBackend())));
    llm.model("small", llm.engines(1), "model: scripted");
  }

  @AfterEach
  void stop() throws IOException {
    llm.close();
  }

  private void start(String file) throws IOException {
    Files.createFile(Files.createDirectory(directory.resolve("scripted")).resolve(file));
    llm.start();
  }

  @Test
  void model_withAFallback_isAnsweredForByIt() throws IOException {
    start("fallback.absent");

    HttpResponse<String> answer = llm.post(CHAT, chat("hello"));

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(answer.body()).contains("hello");
  }

  @Test
  void model_withoutOne_is503_withATimeToTryAgain() throws IOException {
    start("alone.absent");

    HttpResponse<String> answer = llm.post(CHAT, chat("hello"));

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(503);
    assertThat(answer.headers().firstValue("retry-after")).contains("1");
    assertThat(llm.engine().requests()).isEmpty();
  }
}

package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import dev.millrace.runtime.LoadListener;
import dev.millrace.server.RestClient.Answer;
import dev.millrace.server.transport.TransportConfig;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
class MillraceServerTest {
  @TempDir Path directory;

  private static ServerConfig config(Path path) {
    return ServerConfig.of(path).onFreePorts().withStopTimes(Duration.ZERO, Duration.ofSeconds(20));
  }

  private static MillraceServer bind(Path path) throws IOException {
    return MillraceServer.bind(config(path), List.of(new SumBackend()));
  }

  private static MillraceServer start(Path path) throws IOException {
    return MillraceServer.start(config(path), List.of(new SumBackend()));
  }

  @Test
  void server_isLiveBeforeItLoadsAndReadyAfterwards() throws IOException {
    Path model = SumModels.write(directory, "sum", "");
    try (MillraceServer server = bind(model)) {
      assertThat(RestClient.get(server.port(), "/v2/health/live").status()).isEqualTo(200);
      assertThat(RestClient.get(server.port(), "/v2/health/ready").status()).isEqualTo(503);

      server.load(LoadListener.NONE);

      assertThat(RestClient.get(server.port(), "/v2/health/ready").status()).isEqualTo(200);
      Answer answer = RestClient.post(server.port(), "/v2/models/sum/infer", SumModels.REQUEST);
      assertThat(answer.status()).as(answer.body()).isEqualTo(200);
      assertThat(answer.body()).contains("[2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]");
    }
  }

  @Test
  void brokenModel_doesNotStopTheOthersButIsNotReady() throws IOException {
    SumModels.write(directory, "good", "");
    SumModels.write(directory, "bad", "broken");
    try (MillraceServer server = start(directory)) {
      assertThat(RestClient.get(server.port(), "/v2/health/ready").status()).isEqualTo(503);
      assertThat(
              RestClient.post(server.port(), "/v2/models/good/infer", SumModels.REQUEST).status())
          .isEqualTo(200);
    }
  }

  @Test
  void missingModel_stopsTheStart() {
    assertThatThrownBy(() -> start(directory.resolve("nothing")))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("does not exist");
  }

  @Test
  void portInUse_stopsTheStart() throws IOException {
    Path model = SumModels.write(directory, "sum", "");
    try (MillraceServer server = start(model)) {
      ServerConfig same =
          config(model)
              .withTransport(
                  new TransportConfig(
                      "localhost", server.port(), TransportConfig.NONE, Duration.ofSeconds(1)));
      assertThatThrownBy(() -> MillraceServer.start(same, List.of()))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("port " + server.port());
    }
  }

  @Test
  void metrics_showTheProcess() throws IOException {
    try (MillraceServer server = start(SumModels.write(directory, "sum", ""))) {
      assertThat(RestClient.get(server.port(), "/metrics").body())
          .contains("jvm_memory_used_bytes{")
          .contains("jvm_gc_memory_allocated_bytes_total")
          .contains("jvm_threads_live_threads")
          .contains("process_cpu_usage")
          .contains("process_start_time_seconds")
          .contains("millrace_build_info{")
          .contains("version=\"" + Version.text() + "\"");
    }
  }

  @Test
  void learnedBatching_isShown() throws IOException {
    Path model = SumModels.write(directory, "sum", "");
    try (MillraceServer server = start(model)) {
      for (int i = 0; i < 3; i++) {
        assertThat(
                RestClient.post(server.port(), "/v2/models/sum/infer", SumModels.REQUEST).status())
            .isEqualTo(200);
      }
      Answer answer = RestClient.get(server.port(), "/admin/models/sum/batching");
      assertThat(answer.status()).as(answer.body()).isEqualTo(200);
      assertThat(answer.body())
          .contains(
              "\"model\":\"sum\"",
              "\"device\":\"cpu\"",
              "\"placements\":[{\"device\":\"cpu\"",
              "\"learns\":true")
          .contains("\"curve\":[{\"rows\":1,\"us\":");
      assertThat(RestClient.get(server.port(), "/admin/models/sum/versions/1/batching").status())
          .isEqualTo(200);
      assertThat(RestClient.get(server.port(), "/admin/models/none/batching").status())
          .isEqualTo(404);
    }
  }

  @Test
  void stop_answersWhatIsInFlightAndTellsTheClientToGo() throws Exception {
    Path model = SumModels.write(directory, "sum", "slow 300ms");
    MillraceServer server = start(model);
    try (server;
        RestClient client = new RestClient(server.port());
        RestClient idle = new RestClient(server.port());
        ExecutorService threads = Executors.newSingleThreadExecutor()) {
      idle.call("GET", "/v2/health/live", "");
      client.send("POST", "/v2/models/sum/infer", SumModels.REQUEST);
      while (server.models().requestsInFlight() == 0) {
        Thread.onSpinWait();
      }

      CompletableFuture<Boolean> stopped =
          CompletableFuture.supplyAsync(() -> shutDown(server), threads);

      Answer answer = client.receive();
      assertThat(answer.status()).isEqualTo(200);
      assertThat(answer.last()).isTrue();
      assertThat(stopped.get(30, TimeUnit.SECONDS)).isTrue();
      assertThatThrownBy(() -> RestClient.get(server.port(), "/v2/health/live"))
          .isInstanceOf(IOException.class);
    }
  }

  @Test
  void drainDelay_servesOnButIsNotReady() throws Exception {
    ServerConfig config =
        config(SumModels.write(directory, "sum", ""))
            .withStopTimes(Duration.ofSeconds(2), Duration.ofSeconds(20));
    MillraceServer server = MillraceServer.start(config, List.of(new SumBackend()));
    try (server;
        ExecutorService threads = Executors.newSingleThreadExecutor()) {
      CompletableFuture<Boolean> stopped =
          CompletableFuture.supplyAsync(() -> shutDown(server), threads);
      while (server.models().isReady()) {
        Thread.onSpinWait();
      }
      assertThat(RestClient.get(server.port(), "/v2/health/ready").status()).isEqualTo(503);
      assertThat(RestClient.post(server.port(), "/v2/models/sum/infer", SumModels.REQUEST).status())
          .isEqualTo(200);
      assertThat(stopped.get(30, TimeUnit.SECONDS)).isTrue();
    }
  }

  private static boolean shutDown(MillraceServer server) {
    try {
      return server.shutDown();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void requestThatOutlivesTheGracePeriod_isNotWaitedFor() throws Exception {
    ServerConfig config =
        config(SumModels.write(directory, "sum", "slow 3s"))
            .withStopTimes(Duration.ZERO, Duration.ofMillis(100));
    config = config.withRuntime(config.runtime().withDrainTimeout(Duration.ofMillis(100)));
    MillraceServer server = MillraceServer.start(config, List.of(new SumBackend()));
    try (server;
        RestClient client = new RestClient(server.port())) {
      client.send("POST", "/v2/models/sum/infer", SumModels.REQUEST);
      while (server.models().requestsInFlight() == 0) {
        Thread.onSpinWait();
      }
      assertThat(server.shutDown()).isFalse();
    }
  }
}

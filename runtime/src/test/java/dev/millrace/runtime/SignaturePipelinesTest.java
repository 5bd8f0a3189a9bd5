package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Settings;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Instances for another signature than the model's own, made when they are asked for. */
@ExtendWith(TensorLeakExtension.class)
@Timeout(60)
class SignaturePipelinesTest {
  @TempDir private Path root;
  private final FakeBackend backend = new FakeBackend();
  private final List<String> made = new CopyOnWriteArrayList<>();
  private final CountDownLatch making = new CountDownLatch(1);
  private final CountDownLatch proceed = new CountDownLatch(1);
  private ModelServer server;

  @BeforeEach
  void load() throws IOException {
    Trees.write(root, "m/a.fake", "3");
    backend.signatures = List.of("other");
    server =
        ModelServer.create(
            RuntimeConfig.of(root.resolve("m"))
                .withProcessors(2)
                .withOptions(
                    ModelOptions.read(
                        Settings.of("test", Map.of("instances", 1, "calibration-time", "0s")))),
            List.of(backend),
            new SimpleMeterRegistry());
    server.models().loadAll(LoadListener.NONE);
  }

  @AfterEach
  void close_freesEverything() {
    server.close();
    assertThat(backend.openPredictors).hasValue(0);
    assertThat(backend.openModels).hasValue(0);
  }

  private CompletableFuture<InferenceResponse> inferOther(float... x) {
    InferenceRequest request = ModelServer.toSignature(Requests.of("m", x), "other");
    return server.infer(request);
  }

  /** Making waits until it may proceed. */
  private void slowly(String name) {
    made.add(name);
    making.countDown();
    try {
      proceed.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void requestsWaitForInstances_butTheirThreadsDoNot() {
    backend.onSignature = this::slowly;
    var first = inferOther(1, 2);
    var second = inferOther(3, 4);
    assertThat(Requests.y(server.infer(Requests.of("m", 5, 6)))).containsExactly(15, 18);
    assertThat(first).isNotDone();
    assertThat(second).isNotDone();
    proceed.countDown();
    assertThat(Requests.y(first)).containsExactly(3, 6);
    assertThat(Requests.y(second)).containsExactly(9, 12);
    assertThat(Requests.y(inferOther(7, 8))).containsExactly(21, 24);
    assertThat(made).containsExactly("other");
  }

  @Test
  void failureToMakeThem_isAnswered_andTriedAgainForTheNext() {
    backend.onSignature =
        name -> {
          throw new IllegalStateException("no memory for " + name);
        };
    Requests.assertFails(inferOther(1, 2), ErrorCode.INTERNAL, "no memory for other");
    Requests.assertFails(inferOther(1, 2), ErrorCode.INTERNAL, "no memory for other");
    assertThat(server.requestsInFlight()).isZero();
    backend.onSignature = made::add;
    assertThat(Requests.y(inferOther(1, 2))).containsExactly(3, 6);
  }

  @Test
  void requestThatIsCancelledMeanwhile_leavesNothingBehind() throws InterruptedException {
    backend.onSignature = this::slowly;
    var cancelled = inferOther(1, 2);
    making.await();
    assertThat(cancelled.cancel(false)).isTrue();
    assertThat(server.requestsInFlight()).isZero();
    Thread closer = Thread.startVirtualThread(server::close);
    Await.until("it closes", () -> !server.isLive());
    assertThat(backend.openModels).as("in use by what is being made").hasValue(1);
    proceed.countDown();
    closer.join();
  }
}

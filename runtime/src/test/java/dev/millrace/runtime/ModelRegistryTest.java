package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
@Timeout(60)
class ModelRegistryTest {
  @TempDir private Path root;
  private final FakeBackend backend = new FakeBackend();
  private final List<ModelServer> servers = new ArrayList<>();

  /** A server of models in their default placement. */
  private ModelServer server(RuntimeConfig config) {
    ModelOptions uncalibrated =
        ModelOptions.read(Settings.of("test", Map.of("calibration-time", "0s")));
    ModelServer server =
        ModelServer.create(
            config.withProcessors(2).withOptions(config.options().over(uncalibrated)),
            List.of(backend),
            new SimpleMeterRegistry());
    servers.add(server);
    return server;
  }

  private ModelServer loaded(Path path) {
    ModelServer server = server(RuntimeConfig.of(path));
    server.models().loadAll(LoadListener.NONE);
    return server;
  }

  @AfterEach
  void closeServers_freesEverything() {
    servers.forEach(ModelServer::close);
    assertThat(backend.openPredictors).hasValue(0);
    assertThat(backend.openModels).hasValue(0);
  }

  private static void assertRefused(Runnable call, ErrorCode code, String message) {
    assertThatThrownBy(call::run)
        .isInstanceOfSatisfying(InferenceException.class, e -> assertThat(e.code()).isEqualTo(code))
        .hasMessage(message);
  }

  @Test
  void loadAll_serves_andTheServerIsReady() throws IOException {
    Trees.write(root, "m/a.fake", "3");
    ModelServer server = server(RuntimeConfig.of(root.resolve("m")));
    assertThat(server.isLive()).isTrue();
    assertThat(server.isReady()).isFalse();
    List<String> events = new CopyOnWriteArrayList<>();
    server
        .models()
        .loadAll(
            new LoadListener() {
              @Override
              public void loading(ModelId model) {
                events.add("loading " + model);
              }

              @Override
              public void loaded(ModelId model, ModelDescription description, Duration elapsed) {
                events.add("loaded " + model + " on " + description.devices());
              }
            });
    assertThat(events).containsExactly("loading m:1", "loaded m:1 on cpu");
    assertThat(server.isReady()).isTrue();
    assertThat(Requests.y(server.infer(Requests.of("m", 1, 2)))).containsExactly(3, 6);
    ModelDescription description = server.models().describe(ModelId.latest("m"));
    assertThat(description.metadata().id()).isEqualTo(new ModelId("m", "1"));
    assertThat(description.metadata().properties()).containsEntry("device", "cpu");
    assertThat(description.versions()).containsExactly("1");
    assertThat(description.placements()).containsExactly(new Placement(Device.CPU, 2, 1));
    assertThat(description.instances()).isEqualTo(2);
  }

  @Test
  void loadAll_ofModelsThatTakeLong_doesNotHoldUpTheOthers() throws Exception {
    Trees.write(root, "a/slow.fake", "1");
    Trees.write(root, "b/slow.fake", "1");
    Trees.write(root, "c/a.fake", "3");
    CountDownLatch proceed = new CountDownLatch(1);
    backend.onLoad =
        source -> {
          if (source.path().endsWith("slow.fake")) {
            await(proceed);
          }
        };
    ModelServer server = server(RuntimeConfig.of(root));
    Thread loading = Thread.startVirtualThread(() -> server.models().loadAll(LoadListener.NONE));
    try {
      Await.until(
          "the model that does not wait is served",
          () ->
              server.models().index().stream()
                  .anyMatch(
                      model -> model.name().equals("c") && model.state() == ModelState.READY));
      assertThat(server.isReady()).isFalse();
    } finally {
      proceed.countDown();
      loading.join();
    }
    assertThat(server.isReady()).isTrue();
  }

  @Test
  void versions_areServedByNumber_andTheNewestIfNoneIsNamed() throws IOException {
    Trees.write(root, "m/1/a.fake", "1");
    Trees.write(root, "m/2/a.fake", "2");
    Trees.write(root, "m/10/a.fake", "10");
    Trees.write(root, "m/model.yaml", "version-policy: [2, 10]");
    ModelRegistry models = loaded(root.resolve("m")).models();
    assertThat(models.describe(ModelId.latest("m")).metadata().id().version()).isEqualTo("10");
    assertThat(models.describe(ModelId.latest("m")).versions()).containsExactly("2", "10");
    assertThat(models.describe(new ModelId("m", "02")).versions()).containsExactly("2");
    assertThat(models.isReady(new ModelId("m", "2"))).isTrue();
    assertThat(models.index())
        .containsExactly(
            new ModelStatus("m", "2", ModelState.READY, ""),
            new ModelStatus("m", "10", ModelState.READY, ""));
  }

  @Test
  void labels_standForVersions_untilTheModelIsLoadedWithOthers() throws IOException {
    Trees.write(root, "m/1/a.fake", "1");
    Trees.write(root, "m/2/a.fake", "2");
    Trees.write(root, "m/model.yaml", "version-policy: all\nversion-labels: {stable: 01}\n");
    ModelRegistry models = loaded(root.resolve("m")).models();
    assertThat(models.labelled("m", "stable")).isEqualTo(new ModelId("m", "1"));
    assertThat(models.statuses("m"))
        .containsExactly(
            new ModelStatus("m", "1", ModelState.READY, ""),
            new ModelStatus("m", "2", ModelState.READY, ""));
    assertRefused(
        () -> models.labelled("m", "canary"),
        ErrorCode.INVALID_ARGUMENT,
        "Unrecognized servable version label: canary");
    assertRefused(
        () -> models.statuses("x"),
        ErrorCode.NOT_FOUND,
        "Request for unknown model: 'x' is not found");

    models.load("m", Map.of("version-labels", Map.of("canary", 2))).join();
    assertThat(models.labelled("m", "canary")).isEqualTo(new ModelId("m", "2"));
    assertRefused(
        () -> models.labelled("m", "stable"),
        ErrorCode.INVALID_ARGUMENT,
        "Unrecognized servable version label: stable");
  }

  @Test
  void unknownModelsAndVersions_haveTheTextsThatClientsLookFor() throws IOException {
    Trees.write(root, "m/a.fake", "1");
    ModelServer server = loaded(root.resolve("m"));
    ModelRegistry models = server.models();
    assertRefused(
        () -> models.lease(ModelId.latest("x")).close(),
        ErrorCode.NOT_FOUND,
        "Request for unknown model: 'x' is not found");
    assertRefused(
        () -> models.describe(new ModelId("m", "9")),
        ErrorCode.NOT_FOUND,
        "Request for unknown model: 'm' version 9 is not found");
    assertRefused(
        () -> models.isReady(new ModelId("m", "9")),
        ErrorCode.NOT_FOUND,
        "Request for unknown model: 'm' version 9 is not found");
    assertRefused(
        () -> models.isReady(new ModelId("m", "latest")),
        ErrorCode.INVALID_ARGUMENT,
        "failed to get model version from specified version string 'latest', version should be a"
            + " number");
    models.unload("m").join();
    assertRefused(
        () -> models.describe(new ModelId("m", "1")),
        ErrorCode.UNAVAILABLE,
        "Request for unknown model: 'm' version 1 is not at ready state");
    Requests.assertFails(
        server.infer(Requests.of("m", 1, 2)),
        ErrorCode.NOT_FOUND,
        "Request for unknown model: 'm' has no available versions");
    assertThat(models.isReady(ModelId.latest("m"))).isFalse();
    assertThat(models.index())
        .containsExactly(new ModelStatus("m", "1", ModelState.UNAVAILABLE, "unloaded"));
    assertThat(server.isReady()).as("what was unloaded on purpose is not waited for").isTrue();
  }

  @Test
  void beforeAnythingWasLookedFor_modelsAreUnavailable() {
    ModelServer server = server(RuntimeConfig.of(root));
    Requests.assertFails(
        server.infer(Requests.of("m", 1, 2)),
        ErrorCode.UNAVAILABLE,
        "Request for unknown model: 'm' is not found yet");
  }

  @Test
  void whileLoading_theModelIsUnavailable() throws Exception {
    Trees.write(root, "m/a.fake", "1");
    CountDownLatch loading = new CountDownLatch(1);
    CountDownLatch proceed = new CountDownLatch(1);
    backend.onLoad =
        source -> {
          loading.countDown();
          await(proceed);
        };
    ModelServer server = server(RuntimeConfig.of(root.resolve("m")));
    Thread loader = Thread.startVirtualThread(() -> server.models().loadAll(LoadListener.NONE));
    await(loading);
    assertThat(server.models().index())
        .containsExactly(new ModelStatus("m", "1", ModelState.LOADING, ""));
    Requests.assertFails(
        server.infer(Requests.of("m", 1, 2)),
        ErrorCode.UNAVAILABLE,
        "Request for unknown model: 'm' is not at ready state");
    assertThat(server.isReady()).isFalse();
    proceed.countDown();
    loader.join();
    assertThat(server.isReady()).isTrue();
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(10, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void modelThatFails_isRecorded_andDoesNotStopTheOthers() throws IOException {
    Trees.write(root, "good/a.fake", "1");
    Trees.write(root, "bad/a.fake", "x");
    Trees.write(root, "worse/a.fake", "1");
    Path yaml = Trees.write(root, "worse/model.yaml", "max-batch-sise: 1");
    List<String> failures = new CopyOnWriteArrayList<>();
    ModelServer server = server(RuntimeConfig.of(root));
    server
        .models()
        .loadAll(
            new LoadListener() {
              @Override
              public void failed(ModelId model, InferenceException reason, Duration elapsed) {
                failures.add(model.toString());
              }
            });
    assertThat(failures).containsExactlyInAnyOrder("bad:1", "worse");
    String bad = root.resolve("bad/a.fake") + " is not a fake model";
    String worse = yaml + ": unknown key 'max-batch-sise'; did you mean 'max-batch-size'?";
    assertThat(server.models().index())
        .containsExactly(
            new ModelStatus("bad", "1", ModelState.UNAVAILABLE, bad),
            new ModelStatus("good", "1", ModelState.READY, ""),
            new ModelStatus("worse", "", ModelState.UNAVAILABLE, worse));
    assertThat(server.isReady()).isFalse();
    assertThat(Requests.y(server.infer(Requests.of("good", 1, 2)))).containsExactly(1, 2);

    Requests.assertFails(
        server.models().load("bad", Map.of()),
        ErrorCode.FAILED_PRECONDITION,
        "failed to load 'bad', " + bad);
    Trees.write(root, "bad/a.fake", "2");
    Files.delete(yaml);
    server.models().load("bad", Map.of()).join();
    server.models().load("worse", Map.of()).join();
    assertThat(server.isReady()).isTrue();
    assertThat(server.models().index())
        .extracting(ModelStatus::state)
        .containsOnly(ModelState.READY);
  }

  @Test
  void someVersionsThatFail_leaveTheOthersServing() throws IOException {
    Trees.write(root, "m/1/a.fake", "1");
    Trees.write(root, "m/2/a.fake", "x");
    Trees.write(root, "m/model.yaml", "version-policy: all");
    ModelServer server = loaded(root.resolve("m"));
    assertThat(Requests.y(server.infer(Requests.of("m", 1, 2)))).containsExactly(1, 2);
    assertThat(server.models().index())
        .extracting(ModelStatus::state)
        .containsExactly(ModelState.READY, ModelState.UNAVAILABLE);
    assertThat(server.isReady()).isFalse();
  }

  @Test
  void engineThatThrows_isAFailureToLoad() throws IOException {
    Trees.write(root, "m/a.fake", "1");
    backend.onLoad =
        source -> {
          throw new UnsatisfiedLinkError("no libfake.so");
        };
    ModelServer server = loaded(root.resolve("m"));
    assertThat(server.models().index().getFirst().reason())
        .contains("backend 'fake' failed")
        .contains("no libfake.so");
  }

  @Test
  void placesThatDoNotExist_stopTheStart() {
    ModelServer server = server(RuntimeConfig.of(root.resolve("gone")));
    assertRefused(
        () -> server.models().loadAll(LoadListener.NONE),
        ErrorCode.FAILED_PRECONDITION,
        root.resolve("gone") + " does not exist");
    assertThat(server.isReady()).isFalse();
  }

  @Test
  void placesThatComeLate_areWaitedFor() throws Exception {
    Path real = root.resolve("real");
    Trees.write(real, "a.fake", "1");
    Path link = root.resolve("models");
    ModelServer server = server(RuntimeConfig.of(link).withModelWait(Duration.ofSeconds(30)));
    Thread loader = Thread.startVirtualThread(() -> server.models().loadAll(LoadListener.NONE));
    Await.until("it waits", () -> loader.getState() == Thread.State.TIMED_WAITING);
    assertThat(server.isReady()).isFalse();
    Files.createSymbolicLink(link, real);
    loader.join();
    assertThat(server.isReady()).isTrue();
  }

  @Test
  void reload_servesTheNewFiles_andAFailedOneKeepsTheOld() throws IOException {
    Trees.write(root, "m/1/a.fake", "1");
    ModelServer server = loaded(root);
    Trees.write(root, "m/1/a.fake", "5");
    server.models().load("m", Map.of()).join();
    assertThat(Requests.y(server.infer(Requests.of("m", 1, 2)))).containsExactly(5, 10);

    Trees.write(root, "m/2/a.fake", "x");
    InferenceException failure = Requests.failure(server.models().load("m", Map.of()));
    assertThat(failure).hasMessageStartingWith("failed to load 'm', ");
    assertThat(Requests.y(server.infer(Requests.of("m", 1, 2)))).containsExactly(5, 10);
    assertThat(server.isReady()).isTrue();
    assertThat(server.models().index())
        .extracting(ModelStatus::state)
        .containsExactly(ModelState.READY, ModelState.UNAVAILABLE);

    Trees.write(root, "m/2/a.fake", "7");
    server.models().load("m", Map.of()).join();
    assertThat(Requests.y(server.infer(Requests.of("m", 1, 2)))).containsExactly(7, 14);
    Await.until(
        "version 1 is freed",
        () ->
            server
                .models()
                .index()
                .getFirst()
                .equals(new ModelStatus("m", "1", ModelState.UNAVAILABLE, "unloaded")));
    Await.until("one model is left", () -> backend.openModels.get() == 1);
  }

  @Test
  void load_takesOverrides_andModelsThatWereNotThereAtTheStart() throws IOException {
    Trees.write(root, "m/a.fake", "1");
    ModelServer server = loaded(root);
    server.models().load("m", Map.of("max_batch_size", "16")).join();
    assertThat(server.models().describe(ModelId.latest("m")).metadata().maxBatchSize())
        .isEqualTo(16);
    Requests.assertFails(
        server.models().load("m", Map.of("max_batch_sise", 1)),
        ErrorCode.INVALID_ARGUMENT,
        "failed to load 'm', Invalid config override: unknown key 'max-batch-sise'");
    Requests.assertFails(
        server.models().load("late", Map.of()),
        ErrorCode.NOT_FOUND,
        "failed to load 'late', failed to poll from model repository");
    Requests.assertFails(server.models().unload("late"), ErrorCode.NOT_FOUND, "unknown model");
    Trees.write(root, "late/a.fake", "2");
    server.models().load("late", Map.of()).join();
    assertThat(Requests.y(server.infer(Requests.of("late", 1, 2)))).containsExactly(2, 4);
  }

  @Test
  void unload_waitsForTheLastLease() throws Exception {
    Trees.write(root, "m/a.fake", "1");
    ModelServer server = loaded(root.resolve("m"));
    ModelLease lease = server.models().lease(ModelId.latest("m"));
    CompletableFuture<Void> unloaded = server.models().unload("m");
    Await.until(
        "it is unloading",
        () -> server.models().index().getFirst().state() == ModelState.UNLOADING);
    assertRefused(
        () -> server.models().lease(new ModelId("m", "1")).close(),
        ErrorCode.UNAVAILABLE,
        "Request for unknown model: 'm' version 1 is not at ready state");
    assertThat(unloaded).isNotDone();
    assertThat(backend.openModels).hasValue(1);
    assertThat(lease.metadata().inputs()).isNotEmpty();
    lease.close();
    lease.close();
    unloaded.get(10, TimeUnit.SECONDS);
    assertThat(backend.openModels).hasValue(0);
    assertThat(server.models().index().getFirst().state()).isEqualTo(ModelState.UNAVAILABLE);
  }

  @Test
  void unload_duringARequest_letsItFinish() throws Exception {
    Trees.write(root, "m/a.fake", "4");
    ModelServer server = loaded(root.resolve("m"));
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch proceed = new CountDownLatch(1);
    backend.onPredict =
        inputs -> {
          running.countDown();
          await(proceed);
        };
    var future = server.infer(Requests.of("m", 1, 2));
    await(running);
    CompletableFuture<Void> unloaded = server.models().unload("m");
    Await.until(
        "it is unloading",
        () -> server.models().index().getFirst().state() == ModelState.UNLOADING);
    assertThat(unloaded).isNotDone();
    proceed.countDown();
    assertThat(Requests.y(future)).containsExactly(4, 8);
    unloaded.get(10, TimeUnit.SECONDS);
  }

  @Test
  void reloadsUnderLoad_failNoRequest() throws Exception {
    Trees.write(root, "m/a.fake", "2");
    Trees.write(root, "m/model.yaml", "warm-up: false");
    ModelServer server = loaded(root.resolve("m"));
    AtomicBoolean stop = new AtomicBoolean();
    AtomicInteger answered = new AtomicInteger();
    List<Throwable> failures = new CopyOnWriteArrayList<>();
    List<Thread> clients = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      clients.add(
          Thread.startVirtualThread(() -> {
            while (!stop.get() && failures.isEmpty()) {
              try {
                assertThat(Requests.y(server.infer(Requests.of("m", 1, 2)))).containsExactly(2, 4);
                answered.incrementAndGet();
              } catch (Throwable e) {
                failures.add(e);
              }
            }
          }));
    }
    for (int i = 0; i < 50; i++) {
      server.models().load("m", Map.of()).get(10, TimeUnit.SECONDS);
    }
    int before = answered.get();
    Await.until("requests go on", () -> answered.get() > before || !failures.isEmpty());
    stop.set(true);
    for (Thread client : clients) {
      client.join();
    }
    assertThat(failures).isEmpty();
    Await.until("what was replaced is freed", () -> backend.openModels.get() == 1);
    assertThat(backend.openPredictors).hasValue(2);
  }

  @Test
  void close_finishesWhatIsInFlight_andRefusesWhatComes() throws Exception {
    Trees.write(root, "m/a.fake", "2");
    ModelServer server = loaded(root.resolve("m"));
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch proceed = new CountDownLatch(1);
    backend.onPredict =
        inputs -> {
          running.countDown();
          await(proceed);
        };
    var future = server.infer(Requests.of("m", 1, 2));
    await(running);
    server.startDraining();
    assertThat(server.isReady()).isFalse();
    assertThat(server.requestsInFlight()).isEqualTo(1);
    Thread closer = Thread.startVirtualThread(server::close);
    Await.until("it is closing", () -> !server.isLive());
    Requests.assertFails(
        server.infer(Requests.of("m", 1, 2)), ErrorCode.UNAVAILABLE, "shutting down");
    assertThat(future).isNotDone();
    proceed.countDown();
    assertThat(Requests.y(future)).containsExactly(2, 4);
    closer.join();
    assertThat(backend.openModels).hasValue(0);
    Requests.assertFails(
        server.models().load("m", Map.of()), ErrorCode.UNAVAILABLE, "shutting down");
  }

  @Test
  void close_waitsForWhatAReloadHasReplaced() throws Exception {
    Trees.write(root, "m/a.fake", "2");
    ModelServer server = loaded(root.resolve("m"));
    ModelLease lease = server.models().lease(ModelId.latest("m"));
    server.models().load("m", Map.of()).join();
    Thread closer = Thread.startVirtualThread(server::close);
    Await.until("the new one is freed", () -> backend.openModels.get() == 1);
    Await.until("it waits for the old one", () -> closer.getState() == Thread.State.TIMED_WAITING);
    lease.close();
    closer.join();
    assertThat(backend.openModels).hasValue(0);
  }

  @Test
  void options_reachTheBackend() throws IOException {
    Trees.write(root, "m/a.fake", "2");
    Trees.write(root, "m/model.yaml", "threads: 2\nfake: {level: high}");
    ModelOptions flags =
        ModelOptions.read(Settings.of("flags", Map.<String, Object>of("instances", 3)));
    ModelServer server = server(RuntimeConfig.of(root.resolve("m")).withOptions(flags));
    server.models().loadAll(LoadListener.NONE);
    var source = backend.loads.getFirst();
    assertThat(source.instances()).isEqualTo(3);
    assertThat(source.threads()).isEqualTo(2);
    assertThat(source.settings().string("level")).hasValue("high");
    InferenceRequest request = Requests.of("m", 1, 2);
    assertThat(Requests.y(server.infer(request))).containsExactly(2, 4);
  }
}

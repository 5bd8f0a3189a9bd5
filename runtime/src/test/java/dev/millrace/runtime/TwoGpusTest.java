package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Device;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A server whose engine has two GPUs, which are pretended. */
@ExtendWith(TensorLeakExtension.class)
@Timeout(60)
class TwoGpusTest {
  private static final Device GPU_0 = new Device(Device.Kind.GPU, 0);
  private static final Device GPU_1 = new Device(Device.Kind.GPU, 1);

  @TempDir private Path root;
  private final FakeBackend backend = new FakeBackend();
  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final List<ModelServer> servers = new ArrayList<>();

  TwoGpusTest() {
    backend.devices = List.of(GPU_0, GPU_1, Device.CPU);
    backend.gpuSupport = new GpuSupport.Ready();
  }

  @AfterEach
  void everythingIsFreed() {
    servers.forEach(ModelServer::close);
    assertThat(backend.openPredictors).hasValue(0);
    assertThat(backend.openModels).hasValue(0);
  }

  private ModelServer server(String modelYaml) throws IOException {
    Trees.write(root, "m/a.fake", "2");
    Trees.write(root, "m/model.yaml", "calibration-time: 0s\n" + modelYaml);
    return loaded(root.resolve("m"));
  }

  private ModelServer loaded(Path path) {
    ModelServer server =
        ModelServer.create(RuntimeConfig.of(path).withProcessors(4), List.of(backend), registry);
    servers.add(server);
    server.models().loadAll(LoadListener.NONE);
    return server;
  }

  private List<String> loads() {
    return backend.loads.stream()
        .map(source -> source.instances() + " on " + source.device())
        .toList();
  }

  @Test
  void model_isLoadedOnceForEachDevice_andSaysWhere() throws IOException {
    ModelServer server = server("device: gpu\ninstances: 3\n");
    assertThat(loads()).containsExactly("2 on gpu:0", "1 on gpu:1");
    assertThat(backend.openModels).hasValue(2);
    assertThat(backend.openPredictors).hasValue(3);
    ModelDescription description = server.models().describe(ModelId.latest("m"));
    assertThat(description.placements())
        .containsExactly(new Placement(GPU_0, 2, 1), new Placement(GPU_1, 1, 1));
    assertThat(description.instances()).isEqualTo(3);
    assertThat(description.metadata().properties()).containsEntry("device", "gpu:0, gpu:1");
    assertThat(registry.scrape())
        .contains("millrace_model_instances{device=\"gpu:0\",model=\"m\",version=\"1\"} 2.0")
        .contains("millrace_model_instances{device=\"gpu:1\",model=\"m\",version=\"1\"} 1.0")
        .contains("millrace_device_used_seconds{device=\"gpu:1\",model=\"m\",version=\"1\"} 0.0");
  }

  @Test
  void requests_areSpreadOverTheDevices_outOfOneQueue() throws IOException {
    ModelServer server = server("device: gpu\nbatching: \"off\"\nwarm-up: false\n");
    CountDownLatch both = new CountDownLatch(2);
    Map<String, Thread> runners = new ConcurrentHashMap<>();
    backend.onPredict =
        inputs -> {
          runners.put(Thread.currentThread().getName(), Thread.currentThread());
          both.countDown();
          await(both);
        };
    List<CompletableFuture<InferenceResponse>> responses =
        List.of(server.infer(Requests.of("m", 1, 2)), server.infer(Requests.of("m", 3, 4)));
    responses.forEach(response -> assertThat(Requests.y(response)).hasSize(2));
    assertThat(runners).hasSize(2);
    assertThat(registry.scrape())
        .contains(
            "millrace_compute_duration_seconds_count{device=\"gpu:0\",model=\"m\",version=\"1\"} 1")
        .contains(
            "millrace_compute_duration_seconds_count{device=\"gpu:1\",model=\"m\",version=\"1\"} 1");
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Two models on one GPU take turns there; one on the other GPU does not wait for them. */
  @Test
  void turns_areTakenOnEachDeviceByItself() throws IOException {
    for (String model : List.of("a", "b", "c")) {
      Trees.write(root, "repository/" + model + "/1/x.fake", "2");
      Trees.write(
          root,
          "repository/" + model + "/model.yaml",
          "warm-up: false\ndevice: gpu:" + (model.equals("c") ? 1 : 0));
    }
    ModelServer server = loaded(root.resolve("repository"));
    CountDownLatch aIsIn = new CountDownLatch(1);
    CountDownLatch aMayGo = new CountDownLatch(1);
    List<String> entered = new CopyOnWriteArrayList<>();
    backend.onPredict =
        inputs -> {
          String model = Thread.currentThread().getName().substring(0, 1);
          entered.add(model);
          if (model.equals("a")) {
            aIsIn.countDown();
            await(aMayGo);
          }
        };
    CompletableFuture<InferenceResponse> a = server.infer(Requests.of("a", 1, 1));
    await(aIsIn);
    CompletableFuture<InferenceResponse> b = server.infer(Requests.of("b", 1, 1));
    assertThat(Requests.y(server.infer(Requests.of("c", 1, 1)))).containsExactly(2, 2);
    assertThat(entered).containsExactly("a", "c");
    aMayGo.countDown();
    assertThat(Requests.y(a)).containsExactly(2, 2);
    assertThat(Requests.y(b)).containsExactly(2, 2);
    assertThat(entered).containsExactly("a", "c", "b");
    assertThat(registry.scrape())
        .containsPattern(
            "millrace_device_used_seconds\\{device=\"gpu:0\",model=\"a\".*\\} (?!0\\.0\n)")
        .contains("millrace_device_used_seconds{device=\"gpu:1\",model=\"c\",version=\"1\"} 0.0");
  }

  @Test
  void groups_mixDevices_andAReloadMayMoveTheModel() throws IOException {
    ModelServer server = server("instance-groups:\n- {device: gpu:1}\n- {device: cpu, count: 2}\n");
    assertThat(loads()).containsExactly("1 on gpu:1", "2 on cpu");
    assertThat(Requests.y(server.infer(Requests.of("m", 1, 2)))).containsExactly(2, 4);
    server.models().load("m", Map.of("device", "gpu:0")).join();
    assertThat(loads().getLast()).isEqualTo("1 on gpu:0");
    assertThat(server.models().describe(ModelId.latest("m")).devices()).isEqualTo("gpu:0");
    Await.until("the old model is freed", () -> backend.openModels.get() == 1);
    assertThat(registry.scrape())
        .contains("millrace_model_instances{device=\"gpu:0\",model=\"m\",version=\"1\"} 1.0")
        .contains("millrace_model_instances{device=\"gpu:1\",model=\"m\",version=\"1\"} 0.0");
  }

  @Test
  void calibration_measuresOnTheFirstGpu_andChangesNoThreads() throws IOException {
    Trees.write(root, "m/a.fake", "2");
    ModelServer server = loaded(root.resolve("m"));
    assertThat(loads()).containsExactly("1 on gpu:0", "1 on gpu:1");
    assertThat(backend.loads).allMatch(source -> source.threads() == 1);
    assertThat(server.models().describe(ModelId.latest("m")).metadata().properties())
        .hasEntrySatisfying(
            "calibration", text -> assertThat(text).startsWith("1 instance on gpu:0, 1 row "));
  }

  @Test
  void deviceThatDoesNotLoad_leavesNothingOnTheOthers() throws IOException {
    Trees.write(root, "m/a.fake", "2");
    Trees.write(root, "m/model.yaml", "device: gpu");
    backend.onLoad =
        source -> {
          if (source.device().equals(GPU_1)) {
            throw new IllegalStateException("out of memory on " + source.device());
          }
        };
    assertThat(failure(loaded(root.resolve("m")))).contains("out of memory on gpu:1");
    assertThat(backend.openModels).hasValue(0);
    assertThat(backend.openPredictors).hasValue(0);
  }

  @Test
  void gpuThatIsNotThere_failsTheStartWithAReason() throws IOException {
    Trees.write(root, "m/a.fake", "2");
    Trees.write(root, "m/model.yaml", "device: gpu:2");
    assertThat(failure(loaded(root.resolve("m"))))
        .startsWith("device 'gpu:2' was asked for, but backend 'fake' cannot use it here: ")
        .contains("there is no gpu:2, only gpu:0, gpu:1");
  }

  private static String failure(ModelServer server) {
    assertThat(server.isReady()).isFalse();
    return server.models().index().getFirst().reason();
  }
}

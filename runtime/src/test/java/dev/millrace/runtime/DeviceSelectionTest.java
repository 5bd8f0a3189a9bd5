package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.NvidiaDriver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is chosen of described machines and builds. */
class DeviceSelectionTest {
  private static final int PROCESSORS = 8;
  private static final Device GPU_0 = new Device(Device.Kind.GPU, 0);
  private static final Device GPU_1 = new Device(Device.Kind.GPU, 1);
  private static final GpuHost NO_GPU =
      new GpuHost(false, NvidiaDriver.NONE, Optional.empty(), Optional.empty());
  private static final GpuHost TWO_GPUS = host(new NvidiaDriver(true, 0, 2), null);

  private final FakeBackend backend = new FakeBackend();
  private GpuHost host = NO_GPU;

  private static GpuHost host(NvidiaDriver driver, @Nullable String cuda) {
    return new GpuHost(true, driver, Optional.ofNullable(cuda), Optional.empty());
  }

  /** An engine for GPUs, on a machine with two. */
  private void twoGpus() {
    backend.devices = List.of(GPU_0, GPU_1, Device.CPU);
    backend.gpuSupport = new GpuSupport.Ready();
    host = TWO_GPUS;
  }

  private static ModelOptions options(Map<String, Object> values) {
    return ModelOptions.read(Settings.of("model.yaml", values));
  }

  private List<Placement> place(Map<String, Object> values) {
    return selection().place(options(values));
  }

  private DeviceSelection selection() {
    return new DeviceSelection(backend, () -> host, PROCESSORS);
  }

  private List<Placement> groups(Object... groups) {
    return place(Map.of("instance-groups", List.of(groups)));
  }

  private static Placement cpu(int instances, int threads) {
    return new Placement(Device.CPU, instances, threads);
  }

  private static Placement gpu(int index, int instances) {
    return new Placement(new Device(Device.Kind.GPU, index), instances, 1);
  }

  @Test
  void cpu_isSharedOutAmongInstancesAndThreads() {
    assertThat(place(Map.of())).containsExactly(cpu(8, 1));
    assertThat(place(Map.of("threads", 2))).containsExactly(cpu(4, 2));
    assertThat(place(Map.of("instances", 3))).containsExactly(cpu(3, 2));
    assertThat(place(Map.of("threads", 16))).containsExactly(cpu(1, 16));
    assertThat(place(Map.of("threads", 5, "instances", 6))).containsExactly(cpu(6, 5));
    assertThat(groups(Map.of("device", "cpu", "count", 4))).containsExactly(cpu(4, 2));
  }

  @Test
  void auto_takesTheGpusThatTheEngineHas_elseTheCpu() {
    assertThat(place(Map.of("device", "auto"))).containsExactly(cpu(8, 1));
    twoGpus();
    assertThat(place(Map.of())).containsExactly(gpu(0, 1), gpu(1, 1));
    assertThat(place(Map.of("instances", 3))).containsExactly(gpu(0, 2), gpu(1, 1));
    assertThat(place(Map.of("device", "cpu"))).containsExactly(cpu(8, 1));
    backend.devices = List.of(Device.CPU, GPU_0); // whatever the backend's order
    assertThat(place(Map.of())).containsExactly(gpu(0, 1));
  }

  @Test
  void gpu_spreadsInstancesInTurn_andANumberNamesOne() {
    twoGpus();
    assertThat(place(Map.of("device", "gpu"))).containsExactly(gpu(0, 1), gpu(1, 1));
    assertThat(place(Map.of("device", "gpu", "instances", 1))).containsExactly(gpu(0, 1));
    assertThat(place(Map.of("device", "gpu", "instances", 5)))
        .containsExactly(gpu(0, 3), gpu(1, 2));
    assertThat(place(Map.of("device", "gpu:1"))).containsExactly(gpu(1, 1));
    assertThat(place(Map.of("device", "gpu:1", "instances", 4, "threads", 2)))
        .containsExactly(new Placement(GPU_1, 4, 2));
  }

  @Test
  void groups_areAddedUpByDevice_inTheirOrder() {
    twoGpus();
    assertThat(
            groups(
                Map.of("device", "gpu:1", "count", 2),
                Map.of("device", "cpu", "count", 2),
                Map.of("device", "gpu")))
        .containsExactly(gpu(1, 3), cpu(2, 4), gpu(0, 1));
    assertThat(groups(Map.of("device", "gpu", "devices", List.of(1, 0), "count", 3)))
        .containsExactly(gpu(1, 2), gpu(0, 1));
    assertThat(groups(Map.of("device", "gpu", "devices", 1, "count", 3)))
        .containsExactly(gpu(1, 3));
    assertThat(groups(Map.of("device", "gpu", "count-each", 2)))
        .containsExactly(gpu(0, 2), gpu(1, 2));
    assertThat(groups(Map.of())).containsExactly(gpu(0, 1), gpu(1, 1));
  }

  @Test
  void tritonsGroups_countForEachGpu() {
    twoGpus();
    DeviceChoice gpu = new DeviceChoice.Gpu(OptionalInt.empty());
    assertThat(tritons(InstanceGroup.onEach(gpu, 2, List.of())))
        .containsExactly(gpu(0, 2), gpu(1, 2));
    assertThat(tritons(InstanceGroup.onEach(gpu, 2, List.of(1)))).containsExactly(gpu(1, 2));
    assertThat(tritons(InstanceGroup.onEach(new DeviceChoice.Cpu(), 2, List.of())))
        .containsExactly(cpu(2, 4));
    assertThat(tritons(InstanceGroup.onEach(new DeviceChoice.Auto(), 2, List.of())))
        .containsExactly(gpu(0, 2), gpu(1, 2));
    ModelOptions overrides =
        LoadOverrides.read(
            Map.of(
                "instance_group",
                List.of(
                    Map.of("kind", "KIND_GPU", "count", 2, "gpus", List.of(1)),
                    Map.of("kind", "KIND_AUTO", "gpus", List.of()),
                    Map.of("kind", "KIND_CPU", "count", 3))));
    assertThat(selection().place(overrides)).containsExactly(gpu(1, 3), gpu(0, 1), cpu(3, 2));
    assertThatThrownBy(
            () -> LoadOverrides.read(Map.of("instance_group", List.of(Map.of("kind", "KIND_TPU")))))
        .hasMessage(
            "Invalid config override: instance-groups[0].device: expected auto, cpu, gpu or gpu:N,"
                + " got 'KIND_TPU'");
  }

  private List<Placement> tritons(InstanceGroup group) {
    ModelOptions none = ModelOptions.none();
    return selection()
        .place(
            new ModelOptions(
                none.backend(),
                none.versionPolicy(),
                none.versionLabels(),
                none.maxBatchSize(),
                none.instances(),
                none.threads(),
                none.device(),
                List.of(group),
                none.queueLimit(),
                none.queueBytes(),
                none.warmUp(),
                none.timeout(),
                none.calibrationTime(),
                none.batching(),
                none.logger()));
  }

  @Test
  void groups_thatSayTwoThings_areRefused() {
    assertRefused(
        Map.of("instance-groups", List.of(Map.of("count", 1)), "instances", 2),
        "model.yaml: instances: expected nothing, as 'instance-groups' says the same, got '2'");
    assertRefused(
        Map.of("instance-groups", List.of(Map.of("count", 1)), "device", "cpu"),
        "model.yaml: device: expected nothing, as 'instance-groups' says the same, got 'cpu'");
    assertRefused(
        Map.of("instance-groups", List.of(Map.of("count", 1, "count-each", 1))),
        "model.yaml: instance-groups[0].count-each: expected nothing, as 'count' is given, got '1'");
    assertRefused(
        Map.of("instance-groups", List.of(Map.of("device", "gpu:0", "devices", List.of(1)))),
        "model.yaml: instance-groups[0].devices: expected numbers of GPUs, each once, beside"
            + " 'device: gpu', got '[1]'");
    assertRefused(
        Map.of("instance-groups", List.of(Map.of("device", "gpu", "devices", List.of(1, 1)))),
        "model.yaml: instance-groups[0].devices: expected numbers of GPUs, each once, beside"
            + " 'device: gpu', got '[1, 1]'");
    assertRefused(
        Map.of("instance-groups", List.of(Map.of("device", "gpu", "devices", List.of("x")))),
        "model.yaml: instance-groups[0].devices: expected the number of a GPU, from 0, got 'x'");
    assertRefused(
        Map.of("instance-groups", List.of(Map.of("device", "tpu"))),
        "model.yaml: instance-groups[0].device: expected auto, cpu, gpu or gpu:N, got 'tpu'");
  }

  private static void assertRefused(Map<String, Object> values, String message) {
    assertThatThrownBy(() -> options(values))
        .isInstanceOf(InferenceException.class)
        .hasMessage(message);
  }

  @Test
  void groupsAndTheirShortForm_takeEachOthersPlace() {
    ModelOptions groups = options(Map.of("instance-groups", List.of(Map.of("count", 2))));
    ModelOptions device = options(Map.of("device", "cpu"));
    ModelOptions instances = options(Map.of("instances", 3));
    assertThat(groups.over(device.over(instances)).groups()).isEqualTo(groups.groups());
    assertThat(device.over(groups).groups())
        .containsExactly(new InstanceGroup(new DeviceChoice.Cpu(), Optional.empty()));
    assertThat(device.over(instances).groups())
        .containsExactly(new InstanceGroup(new DeviceChoice.Cpu(), Optional.of(3)));
    assertThat(ModelOptions.none().over(groups)).isEqualTo(groups);
  }

  private void assertMissing(String device, String why) {
    assertThatThrownBy(() -> place(Map.of("device", device)))
        .isInstanceOfSatisfying(
            InferenceException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION))
        .hasMessage(
            "device '%s' was asked for, but backend 'fake' cannot use it here: %s", device, why);
  }

  @Test
  void gpuThatIsMissing_saysTheFirstThingThatIs() {
    backend.gpuSupport = new GpuSupport.None("it is the build for CPUs; take another one");
    assertMissing("gpu", "it is the build for CPUs; take another one");

    backend.gpuSupport = new GpuSupport.Broken("libcublas.so.12 is missing");
    assertMissing(
        "gpu:0",
        "this machine or container has no NVIDIA GPU (/dev/nvidia*); ask for one: 'nvidia.com/gpu:"
            + " 1' among a pod's limits, '--gpus all' of Docker");

    host = new GpuHost(false, NvidiaDriver.NONE, Optional.empty(), Optional.of("void"));
    assertMissing(
        "gpu",
        "NVIDIA_VISIBLE_DEVICES is 'void', which keeps GPUs out of this container; ask for one:"
            + " 'nvidia.com/gpu: 1' among a pod's limits, '--gpus all' of Docker");

    host = host(NvidiaDriver.NONE, null);
    assertMissing(
        "gpu",
        "NVIDIA's driver is missing (libcuda.so.1); install it, or on a machine that has it, run"
            + " the container by NVIDIA's container toolkit with"
            + " NVIDIA_DRIVER_CAPABILITIES=compute,utility");

    host = host(new NvidiaDriver(true, 100, 0), "");
    assertMissing(
        "gpu",
        "CUDA_VISIBLE_DEVICES is '', which hides all GPUs from this process; unset it or name one"
            + " that is there, as in '0'");

    host = host(new NvidiaDriver(true, 999, 0), null);
    assertMissing(
        "gpu", "NVIDIA's driver shows no GPU (CUresult 999); see whether 'nvidia-smi' works here");

    host = TWO_GPUS;
    assertMissing("gpu", "libcublas.so.12 is missing");

    backend.gpuSupport = new GpuSupport.Ready();
    assertMissing(
        "gpu",
        "NVIDIA's driver shows 2, but the engine accepts none of them; 'nvidia-smi' tells how old"
            + " they and the driver are");
  }

  @Test
  void gpuOfANumberThatIsNotThere_saysWhichAre() {
    twoGpus();
    assertMissing("gpu:2", "there is no gpu:2, only gpu:0, gpu:1; GPUs are numbered from 0");
    host = host(new NvidiaDriver(true, 0, 2), "2,3");
    assertMissing(
        "gpu:3",
        "there is no gpu:3, only gpu:0, gpu:1; CUDA_VISIBLE_DEVICES is '2,3', whose GPUs are"
            + " numbered from 0 here");
    assertThatThrownBy(() -> groups(Map.of("device", "gpu", "devices", List.of(0, 7))))
        .hasMessageContaining("there is no gpu:7");
  }

  @Test
  void cpu_isMissingFromAnEngineForGpusOnly() {
    twoGpus();
    backend.devices = List.of(GPU_0);
    assertMissing("cpu", "it runs on [gpu:0] only");
  }

  @Test
  void gpuThatNobodyAskedFor_isReportedWhenItIsLeftAlone() {
    backend.gpuSupport = new GpuSupport.None("it is the build for CPUs");
    assertThat(passedOver(Map.of())).isEmpty();
    host = TWO_GPUS;
    assertThat(passedOver(Map.of())).hasValue("it is the build for CPUs");
    assertThat(passedOver(Map.of("device", "cpu"))).isEmpty();
    twoGpus();
    assertThat(passedOver(Map.of())).isEmpty();
  }

  private Optional<String> passedOver(Map<String, Object> values) {
    ModelOptions options = options(values);
    return selection().passedOver(options, selection().place(options));
  }

  @Test
  void host_isWhatItsDevicesAndEnvironmentSay(@TempDir Path devices) throws IOException {
    assertThat(GpuHost.of(devices.resolve("none"), NvidiaDriver.NONE, Map.of())).isEqualTo(NO_GPU);
    Files.createFile(devices.resolve("nvidiactl"));
    assertThat(GpuHost.of(devices, NvidiaDriver.NONE, Map.of())).isEqualTo(NO_GPU);
    Files.createFile(devices.resolve("nvidia1"));
    NvidiaDriver driver = new NvidiaDriver(true, 0, 1);
    assertThat(
            GpuHost.of(
                devices,
                driver,
                Map.of("CUDA_VISIBLE_DEVICES", "1", "NVIDIA_VISIBLE_DEVICES", "all")))
        .isEqualTo(new GpuHost(true, driver, Optional.of("1"), Optional.of("all")));
  }

  @Test
  void thisMachine_canBeAsked() {
    GpuHost here = GpuHost.here();
    assertThat(here.driver().gpus()).isGreaterThanOrEqualTo(0);
    if (!here.driver().installed()) {
      assertThat(here.driver()).isEqualTo(NvidiaDriver.NONE);
    }
    assertThat(GpuHost.kinds()).isNotNull();
  }
}

package dev.millrace.runtime;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.Backend;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Chooses the devices that a model runs on, and in how many instances on each, out of what is asked
 * for and what its engine has.
 *
 * <p>{@code auto} takes the GPUs, and the CPU where there are none. On a GPU there is one instance
 * unless a number is given; on the CPU, instances times threads do not exceed the processors: by
 * default one instance of one thread for each, because most models are better run side by side than
 * spread out. If one of the two is given, the other follows.
 */
final class DeviceSelection {
  private static final Comparator<Device> BY_INDEX = Comparator.comparingInt(Device::index);

  private final Backend backend;
  private final Supplier<GpuHost> host;
  private final int processors;

  /**
   * A choice among a backend's devices.
   *
   * @param host asked only if a GPU is missing
   */
  DeviceSelection(Backend backend, Supplier<GpuHost> host, int processors) {
    this.backend = backend;
    this.host = host;
    this.processors = processors;
  }

  /**
   * Where the model runs: each device once, in the order in which they are asked for.
   *
   * @throws InferenceException FAILED_PRECONDITION if a device that is asked for is not there; says
   *     what is missing
   */
  List<Placement> place(ModelOptions options) {
    Map<Device, Integer> counts = new LinkedHashMap<>();
    for (InstanceGroup group : options.groups()) {
      spread(group, devices(group), options.threads(), counts);
    }
    List<Placement> placements = new ArrayList<>();
    counts.forEach((device, count) ->
        placements.add(
            new Placement(
                device,
                count,
                options.threads().orElseGet(() -> threads(device, count, options)))));
    return List.copyOf(placements);
  }

  private void spread(
      InstanceGroup group,
      List<Device> devices,
      Optional<Integer> threads,
      Map<Device, Integer> counts) {
    for (int i = 0; i < devices.size(); i++) {
      int count = count(group, devices, i, threads);
      if (count > 0) {
        counts.merge(devices.get(i), count, Integer::sum);
      }
    }
  }

  /** How many instances of the group the {@code i}th of its devices gets. */
  private int count(InstanceGroup group, List<Device> devices, int i, Optional<Integer> threads) {
    if (group.count().isEmpty()) {
      return switch (devices.get(i).kind()) {
        case CPU -> Math.max(1, processors / threads.orElse(1));
        case GPU -> 1;
      };
    }
    int count = group.count().get();
    return group.each() ? count : count / devices.size() + (i < count % devices.size() ? 1 : 0);
  }

  private int threads(Device device, int count, ModelOptions options) {
    return device.kind() == Device.Kind.CPU && options.isCounted()
        ? Math.max(1, processors / count)
        : 1;
  }

  private List<Device> devices(InstanceGroup group) {
    List<Device> all = backend.devices();
    List<Device> gpus =
        all.stream().filter(device -> device.kind() == Device.Kind.GPU).sorted(BY_INDEX).toList();
    return switch (group.device()) {
      case DeviceChoice.Auto() -> gpus.isEmpty() ? cpu(all, group.device()) : gpus;
      case DeviceChoice.Cpu() -> cpu(all, group.device());
      case DeviceChoice.Gpu(var index) -> {
        if (gpus.isEmpty()) {
          throw missing(group.device(), MissingGpu.why(host.get(), backend.gpuSupport()));
        }
        List<Integer> wanted = index.isPresent() ? List.of(index.getAsInt()) : group.gpus();
        for (int each : wanted) {
          if (!gpus.contains(new Device(Device.Kind.GPU, each))) {
            throw missing(group.device(), MissingGpu.whyNot(each, host.get(), gpus));
          }
        }
        yield wanted.isEmpty()
            ? gpus
            : wanted.stream().map(each -> new Device(Device.Kind.GPU, each)).toList();
      }
    };
  }

  private List<Device> cpu(List<Device> all, DeviceChoice choice) {
    if (!all.contains(Device.CPU)) {
      throw missing(choice, "it runs on %s only".formatted(all));
    }
    return List.of(Device.CPU);
  }

  private InferenceException missing(DeviceChoice choice, String why) {
    return new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "device '%s' was asked for, but backend '%s' cannot use it here: %s"
            .formatted(choice, backend.name(), why));
  }

  /**
   * Why these placements leave the GPUs of this machine alone though nobody asked for that; empty
   * if they do not, or there are none.
   */
  Optional<String> passedOver(ModelOptions options, List<Placement> placements) {
    boolean open =
        options.groups().stream().anyMatch(group -> group.device() instanceof DeviceChoice.Auto);
    boolean used = placements.stream().anyMatch(each -> each.device().kind() == Device.Kind.GPU);
    return open && !used && host.get().deviceFiles()
        ? Optional.of(MissingGpu.why(host.get(), backend.gpuSupport()))
        : Optional.empty();
  }
}

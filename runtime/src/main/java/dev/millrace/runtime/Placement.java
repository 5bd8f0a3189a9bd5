package dev.millrace.runtime;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.Backend;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;

/**
 * Where a model runs and in how many instances.
 *
 * <p>On CPU, instances times threads do not exceed the processors: by default one instance of one
 * thread for each, because most models are better run side by side than spread out. If one of the
 * two is given, the other follows. {@link Calibration} finds out whether that holds.
 */
record Placement(Device device, int instances, int threads) {
  /**
   * The placement that the options ask for.
   *
   * @throws InferenceException FAILED_PRECONDITION if the device asked for is not there
   */
  static Placement choose(Backend backend, ModelOptions options, int processors) {
    Device device = device(backend, options.device().orElse(new DeviceChoice.Auto()));
    Optional<Integer> instances = options.instances();
    Optional<Integer> threads = options.threads();
    int defaultInstances =
        switch (device.kind()) {
          case CPU -> Math.max(1, processors / threads.orElse(1));
          case GPU -> 1;
        };
    int defaultThreads =
        instances.isPresent() && device.kind() == Device.Kind.CPU
            ? Math.max(1, processors / instances.get())
            : 1;
    return new Placement(
        device, instances.orElse(defaultInstances), threads.orElse(defaultThreads));
  }

  /**
   * The placements to choose from where the options leave it open, this one among them: on CPU, all
   * ways to share the processors out among 1, 2, 4 and so on instances, and fewer instances of one
   * thread; on another device, whose runs share it anyway, only this one.
   */
  List<Placement> alternatives(ModelOptions options, int processors) {
    List<Placement> placements = new ArrayList<>(List.of(this));
    if (device.kind() == Device.Kind.CPU) {
      if (options.threads().isEmpty()) {
        for (int each : options.instances().map(List::of).orElseGet(() -> shares(processors))) {
          for (int share : shares(Math.max(1, processors / each))) {
            boolean all = share == Math.max(1, processors / each);
            if (all || share == 1 || options.instances().isPresent()) {
              placements.add(new Placement(device, each, share));
            }
          }
        }
      } else if (options.instances().isEmpty()) {
        for (int each : shares(Math.max(1, processors / threads))) {
          placements.add(withInstances(each));
        }
      }
    }
    return placements.stream().distinct().toList();
  }

  /** 1, 2, 4 and so on up to {@code all}, and {@code all}. */
  private static List<Integer> shares(int all) {
    TreeSet<Integer> shares = new TreeSet<>();
    for (int share = 1; share < all; share *= 2) {
      shares.add(share);
    }
    shares.add(all);
    return List.copyOf(shares);
  }

  /** This placement with another number of instances. */
  Placement withInstances(int count) {
    return new Placement(device, count, threads);
  }

  /** As in {@code 2 instances x 1 thread}. */
  String describe() {
    return "%d instance%s x %d thread%s"
        .formatted(instances, instances == 1 ? "" : "s", threads, threads == 1 ? "" : "s");
  }

  private static Device device(Backend backend, DeviceChoice choice) {
    List<Device> devices = backend.devices();
    return switch (choice) {
      case DeviceChoice.Auto() -> devices.getFirst();
      case DeviceChoice.Cpu() -> first(devices, Device.CPU, backend, choice);
      case DeviceChoice.Gpu(var index) ->
          first(devices, new Device(Device.Kind.GPU, index.orElse(0)), backend, choice);
    };
  }

  private static Device first(
      List<Device> devices, Device wanted, Backend backend, DeviceChoice choice) {
    if (devices.contains(wanted)) {
      return wanted;
    }
    throw new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "device '%s' was asked for, but backend '%s' has only %s here%s"
            .formatted(
                choice,
                backend.name(),
                devices,
                wanted.kind() == Device.Kind.GPU
                    ? ": that device, its driver or a build of the engine for it is missing"
                    : ""));
  }
}

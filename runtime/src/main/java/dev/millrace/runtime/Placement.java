package dev.millrace.runtime;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.Backend;
import java.util.List;
import java.util.Optional;

/**
 * Where a model runs and in how many instances.
 *
 * <p>On CPU, instances times threads do not exceed the processors: by default one instance of one
 * thread for each, because most models are better run side by side than spread out. If one of the
 * two is given, the other follows.
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

package dev.millrace.runtime;

import dev.millrace.api.Device;
import dev.millrace.batcher.DeviceArbiter;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** What lets the models on each device take turns. Thread-safe. */
final class DeviceArbiters {
  private final int processors;
  private final Map<Device, DeviceArbiter> arbiters = new ConcurrentHashMap<>();

  DeviceArbiters(int processors) {
    this.processors = processors;
  }

  /**
   * A model's right to use the device of its placement, which the caller closes.
   *
   * @param weight of its share among the models there
   */
  DeviceArbiter.Share join(Placement placement, int weight) {
    return arbiters
        .computeIfAbsent(placement.device(), device -> new DeviceArbiter(places(device)))
        .join(weight, placement.threads());
  }

  /** A processor runs one thread; another device runs one batch at a time. */
  private int places(Device device) {
    return switch (device.kind()) {
      case CPU -> processors;
      case GPU -> 1;
    };
  }
}

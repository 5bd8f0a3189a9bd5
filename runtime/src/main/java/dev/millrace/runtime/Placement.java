package dev.millrace.runtime;

import dev.millrace.api.Device;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * Instances of a model on one device. Where more than one is possible, {@link Calibration} finds
 * the best one.
 *
 * @param instances how many predictors run at the same time
 * @param threads how many threads one run may use
 */
public record Placement(Device device, int instances, int threads) {
  /**
   * The placements to choose from where the options leave it open, this one among them: on CPU, all
   * ways to share the processors out among 1, 2, 4 and so on instances, and fewer instances of one
   * thread; on another device, whose runs share it anyway, only this one.
   */
  List<Placement> alternatives(ModelOptions options, int processors) {
    List<Placement> placements = new ArrayList<>(List.of(this));
    if (device.kind() == Device.Kind.CPU) {
      if (options.threads().isEmpty()) {
        for (int each : options.isCounted() ? List.of(instances) : shares(processors)) {
          for (int share : shares(Math.max(1, processors / each))) {
            boolean all = share == Math.max(1, processors / each);
            if (all || share == 1 || options.isCounted()) {
              placements.add(new Placement(device, each, share));
            }
          }
        }
      } else if (!options.isCounted()) {
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

  /** As in {@code 2 instances x 1 thread}, or {@code 1 instance on gpu:0}. */
  String describe() {
    String count = "%d instance%s".formatted(instances, instances == 1 ? "" : "s");
    return switch (device.kind()) {
      case CPU -> "%s x %d thread%s".formatted(count, threads, threads == 1 ? "" : "s");
      case GPU -> count + " on " + device;
    };
  }

  /** All of them, as in {@code 1 instance on gpu:0, 1 instance on gpu:1}. */
  static String describe(List<Placement> placements) {
    return placements.stream().map(Placement::describe).collect(Collectors.joining(", "));
  }

  /** Their devices, as in {@code gpu:0, gpu:1}. */
  static String devices(List<Placement> placements) {
    return placements.stream()
        .map(placement -> placement.device().toString())
        .collect(Collectors.joining(", "));
  }
}

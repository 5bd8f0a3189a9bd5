package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;

/**
 * Instances of a model that are asked for on a kind of device, as in an entry of {@code
 * instance-groups} or of Triton's {@code instance_group}; {@code device} and {@code instances} are
 * the short form of one.
 *
 * @param device where they run
 * @param count how many, at least 1; empty for as many as suit the device
 * @param gpus the GPUs that they are spread over, without repetition, where {@code device} is
 *     {@code gpu} without a number; empty for all that there are
 * @param each whether {@code count} is for each of these GPUs; else they share it out, the first
 *     ones getting one more where it does not come out even
 */
record InstanceGroup(
    DeviceChoice device, Optional<Integer> count, List<Integer> gpus, boolean each) {
  private static final int MOST_INSTANCES = 1024;
  private static final int MOST_GPU = 9999;

  InstanceGroup {
    gpus = List.copyOf(gpus);
    if (count.isPresent() && (count.get() < 1 || count.get() > MOST_INSTANCES)) {
      throw new IllegalArgumentException(
          "instances must be 1 to %d: %d".formatted(MOST_INSTANCES, count.get()));
    }
    if (!gpus.isEmpty() && !(device instanceof DeviceChoice.Gpu(var index) && index.isEmpty())) {
      throw new IllegalArgumentException(
          "GPUs are listed for device '%s'; only 'gpu' takes a list".formatted(device));
    }
    if (new TreeSet<>(gpus).size() < gpus.size() || gpus.stream().anyMatch(gpu -> gpu < 0)) {
      throw new IllegalArgumentException("GPUs must be different and not negative: " + gpus);
    }
  }

  /** So many instances in all, wherever that is. */
  InstanceGroup(DeviceChoice device, Optional<Integer> count) {
    this(device, count, List.of(), false);
  }

  /**
   * So many instances on each GPU of a list, or on each that there is if the list is empty: what
   * Triton's {@code KIND_GPU} and, where there are GPUs, its {@code KIND_AUTO} mean. On another
   * device, so many in all.
   */
  static InstanceGroup onEach(DeviceChoice device, int count, List<Integer> gpus) {
    return new InstanceGroup(device, Optional.of(count), gpus, true);
  }

  /**
   * The groups listed under {@code instance-groups}; none if there is no such key.
   *
   * @throws InferenceException INVALID_ARGUMENT that names the key and what was expected
   */
  static List<InstanceGroup> read(Settings settings) {
    List<InstanceGroup> groups = new ArrayList<>();
    for (Settings group : settings.sections("instance-groups")) {
      groups.add(readOne(group));
    }
    return List.copyOf(groups);
  }

  private static InstanceGroup readOne(Settings group) {
    DeviceChoice device = DeviceChoice.read(group).orElse(new DeviceChoice.Auto());
    Optional<Integer> count = group.integer("count", 1, MOST_INSTANCES);
    Optional<Integer> each = group.integer("count-each", 1, MOST_INSTANCES);
    if (count.isPresent() && each.isPresent()) {
      throw group.bad("count-each", each.get(), "nothing, as 'count' is given");
    }
    List<Integer> gpus = new ArrayList<>();
    for (Object value : group.list("devices")) {
      gpus.add(gpu(group, value));
    }
    try {
      return new InstanceGroup(device, count.or(() -> each), gpus, each.isPresent());
    } catch (IllegalArgumentException e) {
      throw group.bad("devices", gpus, "numbers of GPUs, each once, beside 'device: gpu'");
    }
  }

  private static int gpu(Settings group, Object value) {
    return DeviceChoice.parse("gpu:" + value.toString().strip())
        .map(choice -> ((DeviceChoice.Gpu) choice).index().getAsInt())
        .filter(index -> index <= MOST_GPU)
        .orElseThrow(() -> group.bad("devices", value, "the number of a GPU, from 0"));
  }
}

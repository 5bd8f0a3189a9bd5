package dev.millrace.runtime;

import dev.millrace.api.ModelMetadata;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What is served under a name.
 *
 * @param metadata of the version asked for, as it is served: with the cap on rows in force
 * @param versions the version asked for, else all that are ready, oldest first
 * @param placements where its instances run, each device once
 * @param options what was said about how it is served
 * @param labels names of classes, by output
 * @param declared what a {@code config.pbtxt} says of the model
 * @param streams whether {@link ModelServer#stream} may give several responses
 */
public record ModelDescription(
    ModelMetadata metadata,
    List<String> versions,
    List<Placement> placements,
    ModelOptions options,
    Map<String, LabelFile> labels,
    Optional<TritonConfig> declared,
    boolean streams) {
  public ModelDescription {
    versions = List.copyOf(versions);
    placements = List.copyOf(placements);
    labels = Map.copyOf(labels);
  }

  /** Where the instances run, as in {@code cpu} or {@code gpu:0, gpu:1}. */
  public String devices() {
    return Placement.devices(placements);
  }

  /** How many predictors run at the same time, on all devices. */
  public int instances() {
    return placements.stream().mapToInt(Placement::instances).sum();
  }

  /** How many threads one run may use, on the first of the devices. */
  public int threads() {
    return placements.getFirst().threads();
  }
}

package dev.millrace.runtime;

import dev.millrace.api.Device;
import dev.millrace.api.ModelMetadata;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What is served under a name.
 *
 * @param metadata of the version asked for, as it is served: with the cap on rows in force
 * @param versions the version asked for, else all that are ready, oldest first
 * @param device where the instances run
 * @param instances how many predictors run at the same time
 * @param threads how many threads one run may use
 * @param options what was said about how it is served
 * @param labels names of classes, by output
 * @param declared what a {@code config.pbtxt} says of the model
 */
public record ModelDescription(
    ModelMetadata metadata,
    List<String> versions,
    Device device,
    int instances,
    int threads,
    ModelOptions options,
    Map<String, LabelFile> labels,
    Optional<TritonConfig> declared) {
  public ModelDescription {
    versions = List.copyOf(versions);
    labels = Map.copyOf(labels);
  }
}

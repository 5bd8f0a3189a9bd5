package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.TensorMap;
import java.util.LinkedHashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Examples that become the inputs of a model, and the context that they have in common. */
final class Examples implements AutoCloseable {
  private final InputCollectors<FeatureCollector> features;

  /** The inputs that come from the context. */
  private final Set<String> context = new LinkedHashSet<>();

  private int count;

  /**
   * @param size bytes of the request
   * @throws InferenceException INVALID_ARGUMENT if the model declares no inputs
   */
  Examples(ModelMetadata metadata, long size) {
    if (metadata.inputs().isEmpty()) {
      throw InferenceException.invalidArgument(
          "model '%s' declares no inputs that features could be".formatted(metadata.id().name()));
    }
    features = new InputCollectors<>(metadata.inputs(), FeatureCollector::new, size);
  }

  /** How many examples are complete. */
  int count() {
    return count;
  }

  /**
   * The collector for a feature of the example under way, or of the context; null if the model has
   * no such input.
   *
   * @throws InferenceException INVALID_ARGUMENT if it is there already, or an example before this
   *     one lacks it
   */
  @Nullable FeatureCollector begin(String name, boolean ofContext) {
    FeatureCollector feature = features.find(name);
    if (feature == null) {
      return null;
    }
    long expected = ofContext ? 0 : count;
    if (feature.values() > expected || context.contains(name)) {
      throw InferenceException.invalidArgument(
          "Feature: %s is twice in an example and its context".formatted(name));
    }
    if (feature.values() < expected) {
      throw missing(name);
    }
    if (ofContext) {
      context.add(name);
    }
    return feature;
  }

  private static InferenceException missing(String name) {
    return InferenceException.invalidArgument(
        "Feature: %s is required but could not be found in every example.".formatted(name));
  }

  /** Ends the example under way. */
  void next() {
    count++;
  }

  /**
   * The inputs, which the caller closes.
   *
   * @throws InferenceException INVALID_ARGUMENT if an example lacks a feature, or features do not
   *     make rows of the declared shapes
   */
  TensorMap toTensors() {
    for (String name : context) {
      FeatureCollector feature = features.find(name);
      if (feature != null) {
        feature.repeat(count);
      }
    }
    String incomplete = features.incomplete(count);
    if (incomplete != null) {
      throw missing(incomplete);
    }
    return features.toTensors(FeatureCollector::toTensor);
  }

  /** Frees what was collected and not made tensors. */
  @Override
  public void close() {
    features.close();
  }
}

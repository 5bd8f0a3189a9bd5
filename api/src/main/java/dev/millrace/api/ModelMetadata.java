package dev.millrace.api;

import static java.util.Objects.requireNonNull;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a loaded model says about itself.
 *
 * @param platform engine and format, as in {@code onnxruntime_onnx}
 * @param inputs in the model's order
 * @param outputs in the model's order
 * @param maxBatchSize most rows (dimension 0) that the model is given at once; 0 if its inputs and
 *     outputs have no batch dimension, so that requests cannot be merged; {@link Integer#MAX_VALUE}
 *     from a backend whose model has one and sets no bound
 * @param properties free facts for people: producer, device, opset
 */
public record ModelMetadata(
    ModelId id,
    String platform,
    List<TensorSpec> inputs,
    List<TensorSpec> outputs,
    int maxBatchSize,
    Map<String, String> properties) {
  public ModelMetadata {
    requireNonNull(id, "id is null");
    requireNonNull(platform, "platform is null");
    inputs = List.copyOf(inputs);
    outputs = List.copyOf(outputs);
    properties = Map.copyOf(properties);
    if (maxBatchSize < 0) {
      throw new IllegalArgumentException("maxBatchSize is negative: " + maxBatchSize);
    }
  }

  /** The input of that name. */
  public Optional<TensorSpec> input(String name) {
    return find(inputs, name);
  }

  /** The output of that name. */
  public Optional<TensorSpec> output(String name) {
    return find(outputs, name);
  }

  private static Optional<TensorSpec> find(List<TensorSpec> specs, String name) {
    for (TensorSpec spec : specs) {
      if (spec.name().equals(name)) {
        return Optional.of(spec);
      }
    }
    return Optional.empty();
  }

  /** Whether requests may be merged along dimension 0. */
  public boolean isBatchable() {
    return maxBatchSize > 0;
  }

  /** These metadata with other inputs. */
  public ModelMetadata withInputs(List<TensorSpec> other) {
    return new ModelMetadata(id, platform, other, outputs, maxBatchSize, properties);
  }

  /** These metadata with other outputs. */
  public ModelMetadata withOutputs(List<TensorSpec> other) {
    return new ModelMetadata(id, platform, inputs, other, maxBatchSize, properties);
  }

  /** These metadata with another cap; 0 forbids merging. */
  public ModelMetadata withMaxBatchSize(int rows) {
    return new ModelMetadata(id, platform, inputs, outputs, rows, properties);
  }

  /** These metadata with one more property. */
  public ModelMetadata withProperty(String key, String value) {
    var more = new java.util.LinkedHashMap<>(properties);
    more.put(key, value);
    return new ModelMetadata(id, platform, inputs, outputs, maxBatchSize, more);
  }
}

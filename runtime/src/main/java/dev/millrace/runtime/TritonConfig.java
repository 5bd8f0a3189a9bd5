package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a {@code config.pbtxt} says: Triton's configuration of a model, in the text format of
 * protobuf. What has an equal in {@code model.yaml} becomes {@link ModelOptions} and the like; what
 * means nothing here is kept as {@code ignored}.
 *
 * <p>Source of the format: {@code model_config.proto} of Triton's common repository.
 *
 * @param source the file
 * @param defaultFilename of the model in a version's directory
 * @param batched whether tensors have a batch dimension, which {@code dims} then leaves out
 * @param inputs what is said of them; of those not listed, the model itself tells
 * @param outputs the ones to be served; all if none is listed
 * @param labelFiles by output, the file that names its classes
 * @param ignored the fields, with their lines, that mean nothing here
 */
public record TritonConfig(
    String source,
    Optional<String> name,
    ModelOptions options,
    Map<String, String> parameters,
    Optional<String> defaultFilename,
    boolean batched,
    List<DeclaredTensor> inputs,
    List<DeclaredTensor> outputs,
    List<WarmUpSample> warmUps,
    Map<String, String> labelFiles,
    List<String> ignored) {
  static final String FILE_NAME = "config.pbtxt";

  public TritonConfig {
    parameters = Map.copyOf(parameters);
    inputs = List.copyOf(inputs);
    outputs = List.copyOf(outputs);
    warmUps = List.copyOf(warmUps);
    labelFiles = Map.copyOf(labelFiles);
    ignored = List.copyOf(ignored);
  }

  /**
   * Reads a file.
   *
   * @param backends the names of those that are installed
   * @throws InferenceException INVALID_ARGUMENT that names the file, the line and what was expected
   */
  static TritonConfig read(Path file, Collection<String> backends) {
    return new TritonConfigReader(TextProto.read(file), backends).read(file.toString());
  }

  /** This configuration without what it says of inputs or outputs. */
  TritonConfig without(boolean ofInputs, boolean ofOutputs) {
    return new TritonConfig(
        source,
        name,
        options,
        parameters,
        defaultFilename,
        batched,
        ofInputs ? List.of() : inputs,
        ofOutputs ? List.of() : outputs,
        warmUps,
        labelFiles,
        ignored);
  }

  /** What is said of that input. */
  public Optional<DeclaredTensor> input(String tensor) {
    return find(inputs, tensor);
  }

  /** What is said of that output. */
  public Optional<DeclaredTensor> output(String tensor) {
    return find(outputs, tensor);
  }

  private static Optional<DeclaredTensor> find(List<DeclaredTensor> tensors, String name) {
    return tensors.stream().filter(tensor -> tensor.name().equals(name)).findFirst();
  }

  /** The tensors as the section of a backend that takes declarations has them. */
  static List<Map<String, Object>> section(List<DeclaredTensor> tensors) {
    return tensors.stream()
        .map(tensor -> {
          Map<String, Object> values = new LinkedHashMap<>();
          values.put("name", tensor.name());
          values.put("datatype", tensor.dataType().name());
          values.put("shape", java.util.Arrays.stream(tensor.inner().dims()).boxed().toList());
          return values;
        })
        .toList();
  }
}

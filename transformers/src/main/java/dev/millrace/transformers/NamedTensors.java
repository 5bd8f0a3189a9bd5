package dev.millrace.transformers;

import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.stream.Collectors;

/** Finds and replaces tensors, and what is declared of them, by name. */
final class NamedTensors {
  private NamedTensors() {}

  /**
   * The tensor of that name, still the map's.
   *
   * @throws InferenceException INVALID_ARGUMENT if there is none
   */
  static Tensor require(TensorMap tensors, String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw InferenceException.invalidArgument(
          "there is no tensor '%s', but %s".formatted(name, tensors));
    }
    return tensor;
  }

  /**
   * The request with some inputs in place of others, which are closed.
   *
   * @param added taken over
   */
  static InferenceRequest replaceInputs(
      InferenceRequest request, Collection<String> removed, TensorMap added) {
    return request.withInputs(replace(request.inputs(), removed, added));
  }

  /**
   * The response with some outputs in place of others, which are closed.
   *
   * @param added taken over
   */
  static InferenceResponse replaceOutputs(
      InferenceResponse response, Collection<String> removed, TensorMap added) {
    return response.withOutputs(replace(response.outputs(), removed, added));
  }

  private static TensorMap replace(TensorMap old, Collection<String> removed, TensorMap added) {
    TensorMap.Builder replaced = TensorMap.builder();
    try {
      for (int i = 0; i < old.size(); i++) {
        if (!removed.contains(old.name(i))) {
          replaced.put(old.name(i), old.tensor(i));
        }
      }
      for (int i = 0; i < added.size(); i++) {
        replaced.put(added.name(i), added.tensor(i));
      }
    } catch (IllegalArgumentException e) {
      added.close();
      throw InferenceException.invalidArgument(String.valueOf(e.getMessage()));
    }
    for (int i = 0; i < old.size(); i++) {
      if (removed.contains(old.name(i))) {
        old.tensor(i).close();
      }
    }
    return replaced.build();
  }

  /**
   * The declared inputs or outputs with some in place of others; none if none were declared.
   *
   * @throws InferenceException INVALID_ARGUMENT if a name would be there twice
   */
  static List<TensorSpec> replace(
      List<TensorSpec> specs, Collection<String> removed, List<TensorSpec> added) {
    if (specs.isEmpty()) {
      return specs;
    }
    List<TensorSpec> replaced = new ArrayList<>();
    for (TensorSpec spec : specs) {
      if (!removed.contains(spec.name())) {
        replaced.add(spec);
      }
    }
    for (TensorSpec spec : added) {
      if (replaced.stream().anyMatch(other -> other.name().equals(spec.name()))) {
        throw InferenceException.invalidArgument(
            "there would be two tensors called '%s'".formatted(spec.name()));
      }
      replaced.add(spec);
    }
    return replaced;
  }

  /**
   * What is declared under {@code name}.
   *
   * @param kind input or output, for people
   * @throws InferenceException INVALID_ARGUMENT if nothing is
   */
  static TensorSpec require(List<TensorSpec> specs, String kind, String name) {
    for (TensorSpec spec : specs) {
      if (spec.name().equals(name)) {
        return spec;
      }
    }
    throw InferenceException.invalidArgument(
        "there is no %s '%s'; there %s"
            .formatted(
                kind,
                name,
                specs.isEmpty()
                    ? "are none declared"
                    : "is "
                        + specs.stream().map(TensorSpec::name).collect(Collectors.joining(", "))));
  }

  /**
   * The name that the settings give, else the only one that is declared.
   *
   * @param chosen empty if the settings say nothing
   * @throws InferenceException INVALID_ARGUMENT if it is not declared, or several are
   */
  static TensorSpec choose(List<TensorSpec> specs, String kind, String chosen) {
    if (chosen.isEmpty() && specs.size() == 1) {
      return specs.getFirst();
    }
    if (chosen.isEmpty()) {
      throw InferenceException.invalidArgument(
          "the option '%s' has to name one of %s"
              .formatted(kind, specs.stream().map(TensorSpec::name).toList()));
    }
    return require(specs, kind, chosen);
  }
}

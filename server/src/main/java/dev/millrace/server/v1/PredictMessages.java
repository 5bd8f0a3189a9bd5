package dev.millrace.server.v1;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.proto.tensorflow.TensorProto;
import dev.millrace.proto.tfserving.PredictRequest;
import dev.millrace.proto.tfserving.PredictResponse;
import dev.millrace.server.v1.ModelSpecs.Target;
import dev.millrace.server.v2.RequestLimits;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** TF Serving's messages for an inference on tensors. */
final class PredictMessages {
  private PredictMessages() {}

  /**
   * The request in our own form, with tensors of its own; the caller closes it.
   *
   * @throws InferenceException INVALID_ARGUMENT if inputs or outputs are not the model's, or a
   *     tensor contradicts itself
   */
  static InferenceRequest read(Target target, PredictRequest request, Deadline deadline) {
    ModelMetadata metadata = target.metadata();
    requireInputs(metadata, request.getInputsMap().keySet());
    requireOutputs(metadata, request.getOutputFilterList());
    try (TensorMap.Builder inputs = TensorMap.builder()) {
      for (Map.Entry<String, TensorProto> input : request.getInputsMap().entrySet()) {
        inputs.put(input.getKey(), TensorProtoReader.read(input.getKey(), input.getValue()));
      }
      return target
          .signature()
          .address(
              new InferenceRequest(
                  "",
                  target.id(),
                  inputs.build(),
                  request.getOutputFilterList(),
                  Parameters.empty(),
                  deadline));
    }
  }

  private static void requireInputs(ModelMetadata metadata, Set<String> sent) {
    RequestLimits.checkCount("inputs", sent.size());
    if (metadata.inputs().isEmpty()) {
      return;
    }
    Set<String> expected = names(metadata.inputs());
    Set<String> extra = new TreeSet<>(sent);
    extra.removeAll(expected);
    Set<String> missing = new TreeSet<>();
    for (TensorSpec input : metadata.inputs()) {
      if (!input.optional() && !sent.contains(input.name())) {
        missing.add(input.name());
      }
    }
    if (extra.isEmpty() && missing.isEmpty()) {
      return;
    }
    throw InferenceException.invalidArgument(
        "input size does not match signature: %d!=%d len({%s}) != len({%s}). Sent extra: {%s}. Missing but required: {%s}."
            .formatted(
                sent.size(),
                expected.size(),
                joined(new TreeSet<>(sent)),
                joined(expected),
                joined(extra),
                joined(missing)));
  }

  private static void requireOutputs(ModelMetadata metadata, List<String> filter) {
    RequestLimits.checkCount("outputs", filter.size());
    Set<String> known = names(metadata.outputs());
    Set<String> seen = new HashSet<>();
    for (String output : filter) {
      if (!known.isEmpty() && !known.contains(output)) {
        throw InferenceException.invalidArgument(
            "output tensor alias not found in signature: %s Outputs expected to be in the set {%s}."
                .formatted(V1Errors.shortened(output), joined(known)));
      }
      if (!seen.add(output)) {
        throw InferenceException.invalidArgument(
            "duplicate output tensor alias: " + V1Errors.shortened(output));
      }
    }
  }

  private static Set<String> names(List<TensorSpec> specs) {
    Set<String> names = new TreeSet<>();
    for (TensorSpec spec : specs) {
      names.add(spec.name());
    }
    return names;
  }

  private static String joined(Collection<String> names) {
    List<String> shown = new ArrayList<>();
    for (String name : names) {
      shown.add(V1Errors.shortened(name));
    }
    return String.join(",", shown);
  }

  /** The response in the protocol's form, which does not need its tensors any more. */
  static PredictResponse write(InferenceResponse response, String signature) {
    PredictResponse.Builder message =
        PredictResponse.newBuilder().setModelSpec(ModelSpecs.write(response.model(), signature));
    TensorMap outputs = response.outputs();
    for (int i = 0; i < outputs.size(); i++) {
      message.putOutputs(outputs.name(i), TensorProtoWriter.write(outputs.tensor(i)));
    }
    return message.build();
  }
}

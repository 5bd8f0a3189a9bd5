package dev.millrace.server.v1;

import com.google.protobuf.ByteString;
import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.proto.tensorflow.Example;
import dev.millrace.proto.tensorflow.Feature;
import dev.millrace.proto.tfserving.Input;
import dev.millrace.server.v1.ModelSpecs.Target;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Reads TensorFlow's examples as the inputs of a model, as {@link ExamplesReader} does JSON's. */
final class ExampleInputs {
  private ExampleInputs() {}

  /**
   * Reads a request, which the caller closes.
   *
   * @throws InferenceException INVALID_ARGUMENT
   */
  static InferenceRequest read(Target target, Input input, Deadline deadline) {
    List<Example> list =
        switch (input.getKindCase()) {
          case EXAMPLE_LIST -> input.getExampleList().getExamplesList();
          case EXAMPLE_LIST_WITH_CONTEXT -> input.getExampleListWithContext().getExamplesList();
          case KIND_NOT_SET -> List.of();
        };
    if (list.isEmpty()) {
      throw InferenceException.invalidArgument("Input is empty.");
    }
    Optional<TensorSpec> whole = target.signature().examplesInput();
    if (whole.isPresent()) {
      return whole(target, whole.get(), list, input, deadline);
    }
    try (Examples examples = new Examples(target.metadata(), input.getSerializedSize())) {
      for (Example example : list) {
        add(example, examples, false);
        examples.next();
      }
      add(input.getExampleListWithContext().getContext(), examples, true);
      return request(target, examples.toTensors(), deadline);
    }
  }

  /** Examples as the texts that a signature parses itself, each with the context before it. */
  private static InferenceRequest whole(
      Target target, TensorSpec whole, List<Example> list, Input input, Deadline deadline) {
    Example context = input.getExampleListWithContext().getContext();
    List<byte[]> texts = new ArrayList<>();
    for (Example example : list) {
      texts.add(context.toBuilder().mergeFrom(example).build().toByteArray());
    }
    return request(target, tensor(whole, texts), deadline);
  }

  /** Serialised examples as the input that they go into. */
  static TensorMap tensor(TensorSpec whole, List<byte[]> examples) {
    return TensorMap.of(whole.name(), Tensor.copyOf(Shape.of(examples.size()), examples));
  }

  private static InferenceRequest request(Target target, TensorMap inputs, Deadline deadline) {
    return target
        .signature()
        .address(
            new InferenceRequest("", target.id(), inputs, List.of(), Parameters.empty(), deadline));
  }

  private static void add(Example example, Examples examples, boolean context) {
    for (Map.Entry<String, Feature> entry : example.getFeatures().getFeatureMap().entrySet()) {
      FeatureCollector feature = examples.begin(entry.getKey(), context);
      if (feature != null) {
        add(entry.getValue(), feature);
      }
    }
  }

  private static void add(Feature values, FeatureCollector feature) {
    switch (values.getKindCase()) {
      case BYTES_LIST -> {
        feature.beginExample();
        for (ByteString value : values.getBytesList().getValueList()) {
          feature.addBytes(value);
        }
      }
      case FLOAT_LIST -> {
        feature.beginExample();
        for (int i = 0; i < values.getFloatList().getValueCount(); i++) {
          feature.addFloat(values.getFloatList().getValue(i));
        }
      }
      case INT64_LIST -> {
        feature.beginExample();
        for (int i = 0; i < values.getInt64List().getValueCount(); i++) {
          feature.addLong(values.getInt64List().getValue(i));
        }
      }
      case KIND_NOT_SET -> feature.beginExample();
    }
    feature.endExample();
  }
}

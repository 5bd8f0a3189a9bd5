package dev.millrace.server.v1;

import com.google.protobuf.ByteString;
import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.proto.tensorflow.Example;
import dev.millrace.proto.tensorflow.Feature;
import dev.millrace.proto.tfserving.Input;
import java.util.List;
import java.util.Map;

/** Reads TensorFlow's examples as the inputs of a model, as {@link ExamplesReader} does JSON's. */
final class ExampleInputs {
  private ExampleInputs() {}

  /**
   * Reads a request, which the caller closes.
   *
   * @throws InferenceException INVALID_ARGUMENT
   */
  static InferenceRequest read(
      ModelId model, ModelMetadata metadata, Input input, Deadline deadline) {
    List<Example> list =
        switch (input.getKindCase()) {
          case EXAMPLE_LIST -> input.getExampleList().getExamplesList();
          case EXAMPLE_LIST_WITH_CONTEXT -> input.getExampleListWithContext().getExamplesList();
          case KIND_NOT_SET -> List.of();
        };
    if (list.isEmpty()) {
      throw InferenceException.invalidArgument("Input is empty.");
    }
    try (Examples examples = new Examples(metadata, input.getSerializedSize())) {
      for (Example example : list) {
        add(example, examples, false);
        examples.next();
      }
      add(input.getExampleListWithContext().getContext(), examples, true);
      return new InferenceRequest(
          "", model, examples.toTensors(), List.of(), Parameters.empty(), deadline);
    }
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

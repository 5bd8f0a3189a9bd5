package dev.millrace.backend.tensorflow;

import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.ModelSource;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a model says of itself when it is called by one of its signatures. */
record SignatureMetadata(ModelSource source, MetaGraph graph, TensorFlowSignature signature) {
  private static final String PLATFORM = "tensorflow_savedmodel";

  /**
   * The metadata of the signature. For programs that know TensorFlow's own names there are the
   * properties {@code method-name}, and {@code input.<name>} and {@code output.<name>} with what
   * the graph calls that tensor.
   */
  ModelMetadata own() {
    Map<String, String> properties = new LinkedHashMap<>();
    properties.put("signature", signature.name());
    properties.put("method-name", signature.method());
    for (Endpoint input : signature.inputs()) {
      properties.put("input." + input.spec().name(), input.tensor());
    }
    for (Endpoint output : signature.outputs()) {
      properties.put("output." + output.spec().name(), output.tensor());
    }
    return metadata(properties);
  }

  /** The metadata of the model that is called by this one of its signatures. */
  ModelMetadata ofModel(Collection<String> signatures) {
    Map<String, String> properties = new LinkedHashMap<>();
    properties.put("signature", signature.name());
    properties.put("signatures", String.join(", ", signatures));
    if (!graph.producer().isEmpty()) {
      properties.put("producer", "TensorFlow " + graph.producer());
    }
    properties.put("tensorflow", TfApi.version());
    return metadata(properties);
  }

  private ModelMetadata metadata(Map<String, String> properties) {
    return new ModelMetadata(
        source.id(),
        PLATFORM,
        signature.inputSpecs(),
        signature.outputSpecs(),
        signature.isBatchable() ? Integer.MAX_VALUE : 0,
        properties);
  }
}

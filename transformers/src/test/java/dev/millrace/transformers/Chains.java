package dev.millrace.transformers;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerSource;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Steps and models for tests. */
final class Chains {
  private static final ModelId MODEL = new ModelId("m", "1");

  private Chains() {}

  /** A step with these options, which a test closes. */
  static Transformer step(StepKind kind, Map<String, Object> options, Path... directories) {
    Settings settings = Settings.of("model.yaml", options);
    Transformer step = kind.create(new TransformerSource(MODEL, List.of(directories), settings));
    settings.rejectUnknown();
    return step;
  }

  /** A model with these inputs and outputs. */
  static ModelMetadata model(List<TensorSpec> inputs, List<TensorSpec> outputs) {
    return new ModelMetadata(MODEL, "test", inputs, outputs, 8, Map.of());
  }

  static InferenceRequest request(TensorMap inputs) {
    return InferenceRequest.of("m", inputs);
  }

  static InferenceResponse response(TensorMap outputs) {
    return new InferenceResponse("", MODEL, outputs, Parameters.empty());
  }
}

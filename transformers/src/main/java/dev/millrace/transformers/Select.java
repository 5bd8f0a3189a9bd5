package dev.millrace.transformers;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerSource;
import java.util.List;

/** Some of the outputs, and not the others. */
public final class Select extends StepKind {
  public Select() {
    super("select");
  }

  @Override
  String summary() {
    return "Some of the model's outputs, in another order if wanted; the others are not computed"
        + " where the engine can leave them out.";
  }

  @Override
  List<Option> options() {
    return List.of(
        new Option("outputs", "list of names", "none; has to be given", "What clients get."));
  }

  @Override
  String example() {
    return """
    transformers:
      - select:
          outputs: [probabilities]
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source.settings());
  }

  private static final class Step extends ComputingStep {
    private final List<String> outputs;

    Step(Select kind, Settings settings) {
      super(kind);
      outputs = StepSettings.texts(settings, "outputs");
      if (outputs.isEmpty() || outputs.stream().distinct().count() < outputs.size()) {
        throw settings.bad("outputs", outputs, "a list of names, each once");
      }
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      return inner.outputs().isEmpty()
          ? inner
          : inner.withOutputs(
              outputs.stream()
                  .map(name -> NamedTensors.require(inner.outputs(), "output", name))
                  .toList());
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      return request.requestedOutputs().isEmpty() ? request.withRequestedOutputs(outputs) : request;
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      TensorMap all = response.outputs();
      TensorMap.Builder selected = TensorMap.builder();
      for (String name : outputs) {
        Tensor tensor = all.get(name);
        if (tensor != null) {
          selected.put(name, tensor);
        }
      }
      for (int i = 0; i < all.size(); i++) {
        if (!outputs.contains(all.name(i))) {
          all.tensor(i).close();
        }
      }
      return response.withOutputs(selected.build());
    }
  }
}

package dev.millrace.transformers;

import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Other names for inputs and outputs than the model's. */
public final class Rename extends StepKind {
  public Rename() {
    super("rename");
  }

  @Override
  String summary() {
    return "Other names for inputs and outputs than the model's.";
  }

  @Override
  List<Option> options() {
    return List.of(
        new Option("inputs", "model's name: client's name, …", "none", "Inputs to rename."),
        new Option("outputs", "model's name: client's name, …", "none", "Outputs to rename."));
  }

  @Override
  String example() {
    return """
    transformers:
      - rename:
          inputs: {"input.1": image}
          outputs: {"495": scores}
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source.settings());
  }

  private static final class Step extends ComputingStep {
    private final Map<String, String> inputs;
    private final Map<String, String> outputs;

    Step(Rename kind, Settings settings) {
      super(kind);
      inputs = StepSettings.named(settings, "inputs", Step::name);
      outputs = StepSettings.named(settings, "outputs", Step::name);
    }

    private static String name(Settings section, String key) {
      return section.string(key).orElseThrow(() -> section.bad(key, "nothing", "a name"));
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      return inner
          .withInputs(renamed(inner.inputs(), "input", inputs))
          .withOutputs(renamed(inner.outputs(), "output", outputs));
    }

    private static List<TensorSpec> renamed(
        List<TensorSpec> specs, String kind, Map<String, String> names) {
      if (!specs.isEmpty()) {
        names.keySet().forEach(name -> NamedTensors.require(specs, kind, name));
      }
      List<TensorSpec> renamed = new ArrayList<>();
      Set<String> taken = new HashSet<>();
      for (TensorSpec spec : specs) {
        String name = names.getOrDefault(spec.name(), spec.name());
        if (!taken.add(name)) {
          throw InferenceException.invalidArgument(
              "there would be two %ss called '%s'".formatted(kind, name));
        }
        renamed.add(new TensorSpec(name, spec.dataType(), spec.shape(), spec.optional()));
      }
      return renamed;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      TensorMap.Builder renamed = TensorMap.builder();
      request.inputs().forEach((name, tensor) -> renamed.put(inner(name), tensor));
      return request.withInputs(renamed.build());
    }

    private String inner(String name) {
      for (Map.Entry<String, String> entry : inputs.entrySet()) {
        if (entry.getValue().equals(name)) {
          return entry.getKey();
        }
      }
      return name;
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      TensorMap.Builder renamed = TensorMap.builder();
      response
          .outputs()
          .forEach((name, tensor) -> renamed.put(outputs.getOrDefault(name, name), tensor));
      return response.withOutputs(renamed.build());
    }
  }
}

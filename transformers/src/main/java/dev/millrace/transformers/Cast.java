package dev.millrace.transformers;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Other datatypes for inputs and outputs than the model's. */
public final class Cast extends StepKind {
  public Cast() {
    super("cast");
  }

  @Override
  String summary() {
    return "Other numeric datatypes for inputs and outputs than the model's. Whole numbers keep"
        + " their low bits, fractions are cut off, and what is not 0 is true.";
  }

  @Override
  List<Option> options() {
    return List.of(
        new Option("inputs", "name: datatype, …", "none", "What clients send."),
        new Option("outputs", "name: datatype, …", "none", "What clients get."));
  }

  @Override
  String example() {
    return """
    transformers:
      - cast:
          inputs: {pixels: UINT8}
          outputs: {scores: FP32}
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source.settings());
  }

  private static final class Step extends ComputingStep {
    private final Map<String, DataType> inputs;
    private final Map<String, DataType> outputs;

    /** What the model takes; set when it is described. */
    private final Map<String, DataType> taken = new LinkedHashMap<>();

    Step(Cast kind, Settings settings) {
      super(kind);
      inputs = StepSettings.named(settings, "inputs", Step::type);
      outputs = StepSettings.named(settings, "outputs", Step::type);
    }

    private static DataType type(Settings section, String key) {
      DataType type =
          StepSettings.dataType(section, key)
              .orElseThrow(() -> section.bad(key, "nothing", "a datatype"));
      if (type == DataType.BYTES) {
        throw section.bad(key, type, "a numeric datatype");
      }
      return type;
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      for (String name : inputs.keySet()) {
        taken.put(name, NamedTensors.require(inner.inputs(), "input", name).dataType());
      }
      return inner
          .withInputs(typed(inner.inputs(), "input", inputs))
          .withOutputs(typed(inner.outputs(), "output", outputs));
    }

    private static List<TensorSpec> typed(
        List<TensorSpec> specs, String kind, Map<String, DataType> types) {
      List<TensorSpec> typed = new ArrayList<>(specs);
      types.forEach((name, type) -> {
        TensorSpec spec = NamedTensors.require(specs, kind, name);
        if (spec.dataType() == DataType.BYTES) {
          throw InferenceException.invalidArgument(
              "the %s '%s' is BYTES, expected numbers".formatted(kind, name));
        }
        typed.set(specs.indexOf(spec), new TensorSpec(name, type, spec.shape(), spec.optional()));
      });
      return typed;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      return request.withInputs(cast(request.inputs(), taken));
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      return response.withOutputs(cast(response.outputs(), outputs));
    }

    private static TensorMap cast(TensorMap tensors, Map<String, DataType> types) {
      TensorMap.Builder cast = TensorMap.builder();
      List<Tensor> made = new ArrayList<>();
      List<Tensor> replaced = new ArrayList<>();
      try {
        for (int i = 0; i < tensors.size(); i++) {
          Tensor tensor = tensors.tensor(i);
          DataType type = types.getOrDefault(tensors.name(i), tensor.dataType());
          if (type != tensor.dataType()) {
            replaced.add(tensor);
            tensor = Numbers.cast(tensor, type);
            made.add(tensor);
          }
          cast.put(tensors.name(i), tensor);
        }
      } catch (RuntimeException e) {
        made.forEach(Tensor::close);
        throw e;
      }
      replaced.forEach(Tensor::close);
      return cast.build();
    }
  }
}

package dev.millrace.transformers;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerSource;
import java.util.ArrayList;
import java.util.List;

/** Numbers of classes, as a classifier gives them, into their names. */
public final class Labels extends StepKind {
  public Labels() {
    super("labels");
  }

  @Override
  String summary() {
    return "The names (BYTES) of the classes whose numbers an output holds.";
  }

  @Override
  List<Option> options() {
    List<Option> options = new ArrayList<>();
    options.add(new Option("output", "name", "the only one", "An output of whole numbers."));
    options.addAll(StepSettings.labelOptions("none; one of the two has to be given"));
    return options;
  }

  @Override
  String example() {
    return """
    transformers:
      - labels:
          output: output_label
          labels: [setosa, versicolor, virginica]
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source);
  }

  private static final class Step extends ComputingStep {
    private final String chosen;
    private final List<String> labels;

    /** Set when the model is described. */
    private String name = "";

    Step(Labels kind, TransformerSource source) {
      super(kind);
      chosen = source.settings().string("output").orElse("");
      labels = StepSettings.labels(source);
      if (labels.isEmpty()) {
        throw source.settings().bad("labels", "none", "the names of the classes");
      }
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      TensorSpec spec = NamedTensors.choose(inner.outputs(), "output", chosen);
      name = spec.name();
      if (!Numbers.isWhole(spec.dataType())) {
        throw InferenceException.invalidArgument(
            "the output '%s' is %s, expected whole numbers".formatted(name, spec.dataType()));
      }
      TensorSpec named = new TensorSpec(name, DataType.BYTES, spec.shape());
      return inner.withOutputs(
          inner.outputs().stream().map(each -> each.equals(spec) ? named : each).toList());
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      Tensor numbers = response.outputs().get(name);
      if (numbers == null) {
        return response;
      }
      long[] classes = Numbers.toLongs(numbers);
      String[] names = new String[classes.length];
      for (int i = 0; i < names.length; i++) {
        names[i] =
            classes[i] >= 0 && classes[i] < labels.size()
                ? labels.get((int) classes[i])
                : String.valueOf(classes[i]);
      }
      return NamedTensors.replaceOutputs(
          response, List.of(name), TensorMap.of(name, Tensor.copyOf(numbers.shape(), names)));
    }
  }
}

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
import java.util.List;

/** Scores into probabilities. */
public final class Softmax extends StepKind {
  public Softmax() {
    super("softmax");
  }

  @Override
  String summary() {
    return "Probabilities, FP32, from the scores (logits) of an output, over its last dimension.";
  }

  @Override
  List<Option> options() {
    return List.of(
        new Option("output", "name", "the only one", "The output of scores."),
        new Option("temperature", "number above 0", "1", "Scores are divided by it."));
  }

  @Override
  String example() {
    return """
    transformers:
      - top-k:
          k: 3
          labels-file: labels.txt
      - softmax
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source.settings());
  }

  private static final class Step extends ComputingStep {
    private final String chosen;
    private final float temperature;

    /** Set when the model is described. */
    private String name = "";

    Step(Softmax kind, Settings settings) {
      super(kind);
      chosen = settings.string("output").orElse("");
      temperature = StepSettings.number(settings, "temperature").orElse(1.0).floatValue();
      if (temperature <= 0) {
        throw settings.bad("temperature", temperature, "a number above 0");
      }
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      TensorSpec spec = NamedTensors.choose(inner.outputs(), "output", chosen);
      name = spec.name();
      if (spec.dataType() == DataType.BYTES || spec.shape().rank() == 0) {
        throw InferenceException.invalidArgument(
            "the output '%s' is %s%s, expected numbers with a dimension"
                .formatted(name, spec.dataType(), spec.shape()));
      }
      TensorSpec made = new TensorSpec(name, DataType.FP32, spec.shape());
      return inner.withOutputs(
          inner.outputs().stream().map(each -> each.equals(spec) ? made : each).toList());
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      Tensor scores = response.outputs().get(name);
      if (scores == null) {
        return response;
      }
      float[] values = Numbers.toFloats(scores);
      int width = (int) Math.max(1, scores.shape().dim(scores.shape().rank() - 1));
      for (int row = 0; row < values.length; row += width) {
        softmax(values, row, row + width);
      }
      return NamedTensors.replaceOutputs(
          response, List.of(name), TensorMap.of(name, Tensor.copyOf(scores.shape(), values)));
    }

    /** The largest is taken off first, so that no power overflows. */
    private void softmax(float[] values, int start, int end) {
      float largest = Float.NEGATIVE_INFINITY;
      for (int i = start; i < end; i++) {
        largest = Math.max(largest, values[i]);
      }
      double sum = 0;
      for (int i = start; i < end; i++) {
        double power = Math.exp((values[i] - largest) / temperature);
        values[i] = (float) power;
        sum += power;
      }
      float share = (float) (1 / sum);
      for (int i = start; i < end; i++) {
        values[i] *= share;
      }
    }
  }
}

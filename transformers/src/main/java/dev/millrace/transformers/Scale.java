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
import java.util.Optional;

/** Shifts and scales numbers: (x - subtract) / divide. */
public final class Scale extends StepKind {
  public Scale() {
    super("scale");
  }

  @Override
  String summary() {
    return "Numbers shifted and scaled: `(x - subtract) / divide`, and cut to a range. Of an input,"
        + " clients send any numeric datatype that `datatype` says; of an output, they get FP32.";
  }

  @Override
  List<Option> options() {
    return List.of(
        new Option(
            "input", "name", "the only one", "The model's input, of FP32, FP64, FP16 or BF16."),
        new Option("output", "name", "none", "An output, instead of an input."),
        new Option(
            "subtract",
            "number or list",
            "0",
            "One for all, or one for each of the last dimension."),
        new Option("divide", "number or list", "1", "Likewise; not 0."),
        new Option("min", "number", "none", "Smaller results become this."),
        new Option("max", "number", "none", "Larger results become this."),
        new Option("datatype", "datatype", "the model's", "What clients send as that input."));
  }

  @Override
  String example() {
    return """
    transformers:
      - scale:
          input: features
          subtract: [5.84, 3.05, 3.76, 1.2]
          divide: [0.83, 0.43, 1.76, 0.76]
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source.settings());
  }

  private static final class Step extends ComputingStep {
    private final Optional<String> chosen;
    private final Optional<String> output;
    private final float[] subtract;
    private final float[] divide;
    private final float min;
    private final float max;
    private final Optional<DataType> sent;

    /** The tensor, and what the model takes it as; set when the model is described. */
    private String name = "";

    private DataType taken = DataType.FP32;

    Step(Scale kind, Settings settings) {
      super(kind);
      chosen = settings.string("input");
      output = settings.string("output");
      subtract = orElse(StepSettings.numbers(settings, "subtract"), 0);
      divide = orElse(StepSettings.numbers(settings, "divide"), 1);
      min = StepSettings.number(settings, "min").orElse(Double.NEGATIVE_INFINITY).floatValue();
      max = StepSettings.number(settings, "max").orElse(Double.POSITIVE_INFINITY).floatValue();
      sent = StepSettings.dataType(settings, "datatype");
      if (chosen.isPresent() && output.isPresent()) {
        throw settings.bad("output", output.get(), "either input or output");
      }
      for (float divisor : divide) {
        if (divisor == 0) {
          throw settings.bad("divide", divisor, "numbers other than 0");
        }
      }
      if (min > max) {
        throw settings.bad("min", min, "at most max");
      }
      if (sent.isPresent() && sent.get() == DataType.BYTES) {
        throw settings.bad("datatype", sent.get(), "a numeric datatype");
      }
    }

    private static float[] orElse(float[] numbers, float usual) {
      return numbers.length == 0 ? new float[] {usual} : numbers;
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      if (output.isPresent()) {
        TensorSpec spec = NamedTensors.require(inner.outputs(), "output", output.get());
        name = spec.name();
        checkWidth(spec);
        return inner.withOutputs(typed(inner.outputs(), spec, DataType.FP32));
      }
      TensorSpec spec = NamedTensors.choose(inner.inputs(), "input", chosen.orElse(""));
      name = spec.name();
      taken = spec.dataType();
      if (Numbers.isWhole(taken) || taken == DataType.BYTES) {
        throw InferenceException.invalidArgument(
            "the input '%s' is %s, expected floating point".formatted(name, taken));
      }
      checkWidth(spec);
      return inner.withInputs(typed(inner.inputs(), spec, sent.orElse(taken)));
    }

    private static List<TensorSpec> typed(List<TensorSpec> specs, TensorSpec spec, DataType type) {
      return specs.stream()
          .map(each ->
              each.equals(spec)
                  ? new TensorSpec(each.name(), type, each.shape(), each.optional())
                  : each)
          .toList();
    }

    private void checkWidth(TensorSpec spec) {
      int rank = spec.shape().rank();
      long width = rank == 0 ? 1 : spec.shape().dim(rank - 1);
      for (float[] numbers : List.of(subtract, divide)) {
        if (numbers.length > 1 && width >= 0 && width != numbers.length) {
          throw InferenceException.invalidArgument(
              "there are %d numbers for the last dimension of '%s', which is %s"
                  .formatted(numbers.length, name, spec.shape()));
        }
      }
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      if (output.isPresent() || request.inputs().get(name) == null) {
        return request;
      }
      Tensor scaled = scale(NamedTensors.require(request.inputs(), name), taken);
      return NamedTensors.replaceInputs(request, List.of(name), TensorMap.of(name, scaled));
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      if (output.isEmpty() || response.outputs().get(name) == null) {
        return response;
      }
      Tensor scaled = scale(NamedTensors.require(response.outputs(), name), DataType.FP32);
      return NamedTensors.replaceOutputs(response, List.of(name), TensorMap.of(name, scaled));
    }

    private Tensor scale(Tensor tensor, DataType type) {
      float[] values = Numbers.toFloats(tensor);
      int rank = tensor.shape().rank();
      int width = rank == 0 ? 1 : (int) Math.max(1, tensor.shape().dim(rank - 1));
      float[] shift = widened(subtract, width);
      float[] divisor = widened(divide, width);
      for (int row = 0; row < values.length; row += width) {
        for (int i = 0; i < width; i++) {
          values[row + i] = (values[row + i] - shift[i]) / divisor[i];
        }
      }
      if (min != Float.NEGATIVE_INFINITY || max != Float.POSITIVE_INFINITY) {
        for (int i = 0; i < values.length; i++) {
          values[i] = Math.min(max, Math.max(min, values[i]));
        }
      }
      return Numbers.of(type, tensor.shape(), values);
    }

    private float[] widened(float[] numbers, int width) {
      if (numbers.length == width) {
        return numbers;
      }
      if (numbers.length != 1) {
        throw InferenceException.invalidArgument(
            "the last dimension of '%s' is %d, expected %d".formatted(name, width, numbers.length));
      }
      float[] wide = new float[width];
      java.util.Arrays.fill(wide, numbers[0]);
      return wide;
    }
  }
}

package dev.millrace.transformers;

import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Other shapes for inputs and outputs than the model's. */
public final class Reshape extends StepKind {
  public Reshape() {
    super("reshape");
  }

  @Override
  String summary() {
    return "Other shapes for inputs and outputs than the model's; the elements stay in their order,"
        + " and nothing is copied. A -1 in front is the number of rows; the next takes what is left.";
  }

  @Override
  List<Option> options() {
    return List.of(
        new Option("inputs", "name: shape, …", "none", "What clients send."),
        new Option("outputs", "name: shape, …", "none", "What clients get."));
  }

  @Override
  String example() {
    return """
    transformers:
      - reshape:
          inputs: {pixels: [-1, 784]}
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source.settings());
  }

  private static final class Step extends ComputingStep {
    private final Map<String, Shape> inputs;
    private final Map<String, Shape> outputs;

    /** What the model takes; set when it is described. */
    private final Map<String, Shape> taken = new LinkedHashMap<>();

    Step(Reshape kind, Settings settings) {
      super(kind);
      inputs = StepSettings.named(settings, "inputs", StepSettings::shape);
      outputs = StepSettings.named(settings, "outputs", StepSettings::shape);
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      for (String name : inputs.keySet()) {
        taken.put(name, NamedTensors.require(inner.inputs(), "input", name).shape());
      }
      return inner
          .withInputs(shaped(inner.inputs(), "input", inputs))
          .withOutputs(shaped(inner.outputs(), "output", outputs));
    }

    private static List<TensorSpec> shaped(
        List<TensorSpec> specs, String kind, Map<String, Shape> shapes) {
      List<TensorSpec> shaped = new ArrayList<>(specs);
      shapes.forEach((name, shape) -> {
        TensorSpec spec = NamedTensors.require(specs, kind, name);
        if (spec.shape().isConcrete()
            && shape.isConcrete()
            && spec.shape().elementCount() != shape.elementCount()) {
          throw InferenceException.invalidArgument(
              "the %s '%s' is %s, which has not as many elements as %s"
                  .formatted(kind, name, spec.shape(), shape));
        }
        shaped.set(
            specs.indexOf(spec), new TensorSpec(name, spec.dataType(), shape, spec.optional()));
      });
      return shaped;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      return request.withInputs(reshape(request.inputs(), taken));
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      return response.withOutputs(reshape(response.outputs(), outputs));
    }

    private static TensorMap reshape(TensorMap tensors, Map<String, Shape> shapes) {
      TensorMap.Builder reshaped = TensorMap.builder();
      for (int i = 0; i < tensors.size(); i++) {
        Tensor tensor = tensors.tensor(i);
        Shape shape = shapes.get(tensors.name(i));
        reshaped.put(
            tensors.name(i),
            shape == null
                ? tensor
                : Tensor.wrap(
                    tensor.dataType(),
                    concrete(shape, tensor.shape(), tensors.name(i)),
                    tensor.data(),
                    tensor));
      }
      return reshaped.build();
    }

    /** The target shape with its free sizes found from what is there. */
    private static Shape concrete(Shape target, Shape actual, String name) {
      long[] dims = target.dims();
      int free = -1;
      long known = 1;
      for (int i = 0; i < dims.length; i++) {
        if (dims[i] == Shape.ANY && i == 0 && actual.rank() > 0) {
          dims[i] = actual.dim(0); // the rows
        } else if (dims[i] == Shape.ANY && free < 0) {
          free = i;
          continue;
        } else if (dims[i] == Shape.ANY) {
          dims[i] = i < actual.rank() ? actual.dim(i) : 1;
        }
        known *= dims[i];
      }
      if (free >= 0) {
        dims[free] = known == 0 ? 0 : actual.elementCount() / known;
        known *= dims[free];
      }
      if (known != actual.elementCount()) {
        throw InferenceException.invalidArgument(
            "'%s' is %s, which cannot be made %s".formatted(name, actual, target));
      }
      return Shape.of(dims);
    }
  }
}

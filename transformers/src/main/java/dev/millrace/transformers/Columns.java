package dev.millrace.transformers;

import dev.millrace.api.DataType;
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
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/**
 * Named features into the columns of one matrix, and the columns of a matrix into named results.
 */
public final class Columns extends StepKind {
  public Columns() {
    super("columns");
  }

  @Override
  String summary() {
    return "Named features, each a tensor of its own to clients, into the columns of the one matrix"
        + " that the model takes, and the columns of a matrix that it gives into named results. Rows"
        + " of V1 and TensorFlow Serving are then objects: `{\"age\": 31, \"city\": \"Berlin\"}`.";
  }

  @Override
  List<Option> options() {
    return List.of(
        new Option("input", "name", "the only one", "The model's matrix: numbers, [-1,n]."),
        new Option(
            "features",
            "list of names or sections",
            "none",
            "The columns in order. A section has `name`; `datatype` that clients send, FP32 unless"
                + " given; `categories`, texts whose places are the numbers; `default` for requests"
                + " without it."),
        new Option("output", "name", "the only one", "The model's matrix of results: [-1,n]."),
        new Option("results", "list of names", "none", "The columns of it: FP32[-1] each."));
  }

  @Override
  String example() {
    return """
    transformers:
      - columns:
          features:
            - age
            - {name: income, datatype: FP64, default: 0}
            - {name: city, categories: [Berlin, Paris, Rome]}
          results: [declined, accepted]
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source.settings());
  }

  /**
   * One column.
   *
   * @param categories numbers by text; empty for a feature of numbers
   */
  private record Feature(
      String name, DataType type, Map<String, Integer> categories, Optional<Float> fallback) {
    static Feature read(Settings section) {
      String name =
          section.string("name").orElseThrow(() -> section.bad("name", "nothing", "a name"));
      List<String> texts = StepSettings.texts(section, "categories");
      Map<String, Integer> categories = new HashMap<>();
      for (String text : texts) {
        if (categories.put(text, categories.size()) != null) {
          throw section.bad("categories", text, "each text once");
        }
      }
      DataType type =
          StepSettings.dataType(section, "datatype")
              .orElse(texts.isEmpty() ? DataType.FP32 : DataType.BYTES);
      if ((type == DataType.BYTES) == texts.isEmpty()) {
        throw section.bad("datatype", type, "BYTES with categories, and numbers without");
      }
      Optional<Float> fallback =
          texts.isEmpty()
              ? StepSettings.number(section, "default").map(Double::floatValue)
              : section
                  .string("default")
                  .map(text -> (float) categoryOf(section, categories, text));
      return new Feature(name, type, categories, fallback);
    }

    private static int categoryOf(Settings section, Map<String, Integer> categories, String text) {
      Integer number = categories.get(text);
      if (number == null) {
        throw section.bad("default", text, "one of the categories");
      }
      return number;
    }

    float[] values(Tensor tensor) {
      if (categories.isEmpty()) {
        return Numbers.toFloats(tensor);
      }
      List<String> texts = tensor.toStrings();
      float[] values = new float[texts.size()];
      for (int i = 0; i < values.length; i++) {
        Integer number = categories.get(texts.get(i));
        if (number == null) {
          throw InferenceException.invalidArgument(
              "'%s' in row %d: expected one of %s, got '%s'"
                  .formatted(name, i, new TreeSet<>(categories.keySet()), texts.get(i)));
        }
        values[i] = number;
      }
      return values;
    }
  }

  private static final class Step extends ComputingStep {
    private final Optional<String> chosenInput;
    private final Optional<String> chosenOutput;
    private final List<Feature> features = new ArrayList<>();
    private final List<String> results;

    /** The matrices; set when the model is described. */
    private String input = "";

    private DataType inputType = DataType.FP32;
    private String output = "";

    Step(Columns kind, Settings settings) {
      super(kind);
      chosenInput = settings.string("input");
      chosenOutput = settings.string("output");
      results = StepSettings.texts(settings, "results");
      List<Object> listed = settings.list("features");
      for (int i = 0; i < listed.size(); i++) {
        // A name alone is a section with nothing else.
        Object entry = listed.get(i) instanceof Map<?, ?> map ? map : Map.of("name", listed.get(i));
        String key = "features[%d]".formatted(i);
        Settings section = Settings.of(settings.source(), Map.of(key, entry)).section(key);
        features.add(Feature.read(section));
        section.rejectUnknown();
      }
      if (features.isEmpty() && results.isEmpty()) {
        throw settings.bad("features", "none", "features, or results, or both");
      }
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      ModelMetadata outer = inner;
      if (!features.isEmpty()) {
        TensorSpec matrix =
            matrix(inner.inputs(), "input", chosenInput.orElse(""), features.size());
        input = matrix.name();
        inputType = matrix.dataType();
        Shape column = Shape.of(matrix.shape().dim(0));
        outer =
            outer.withInputs(
                NamedTensors.replace(
                    inner.inputs(),
                    List.of(input),
                    features.stream()
                        .map(feature ->
                            new TensorSpec(
                                feature.name(),
                                feature.type(),
                                column,
                                feature.fallback().isPresent()))
                        .toList()));
      }
      if (!results.isEmpty()) {
        TensorSpec matrix =
            matrix(inner.outputs(), "output", chosenOutput.orElse(""), results.size());
        output = matrix.name();
        Shape column = Shape.of(matrix.shape().dim(0));
        outer =
            outer.withOutputs(
                NamedTensors.replace(
                    inner.outputs(),
                    List.of(output),
                    results.stream()
                        .map(name -> new TensorSpec(name, DataType.FP32, column))
                        .toList()));
      }
      return outer;
    }

    private static TensorSpec matrix(
        List<TensorSpec> specs, String kind, String chosen, int columns) {
      TensorSpec spec = NamedTensors.choose(specs, kind, chosen);
      Shape shape = spec.shape();
      if (spec.dataType() == DataType.BYTES
          || shape.rank() != 2
          || (shape.dim(1) >= 0 && shape.dim(1) != columns)) {
        throw InferenceException.invalidArgument(
            "the %s '%s' is %s%s, expected numbers of shape [-1,%d]"
                .formatted(kind, spec.name(), spec.dataType(), shape, columns));
      }
      return spec;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      if (features.isEmpty()) {
        return request;
      }
      int rows = rows(request.inputs());
      int width = features.size();
      float[] matrix = new float[Math.multiplyExact(rows, width)];
      for (int column = 0; column < width; column++) {
        Feature feature = features.get(column);
        Tensor tensor = request.inputs().get(feature.name());
        if (tensor == null) {
          float fallback = feature.fallback().orElse(0f);
          for (int row = 0; row < rows; row++) {
            matrix[row * width + column] = fallback;
          }
          continue;
        }
        float[] values = feature.values(tensor);
        for (int row = 0; row < rows; row++) {
          matrix[row * width + column] = values[row];
        }
      }
      Tensor made = Numbers.of(inputType, Shape.of(rows, width), matrix);
      return NamedTensors.replaceInputs(
          request, features.stream().map(Feature::name).toList(), TensorMap.of(input, made));
    }

    /** How many rows all features have. */
    private int rows(TensorMap inputs) {
      long rows = -1;
      for (Feature feature : features) {
        Tensor tensor = inputs.get(feature.name());
        if (tensor == null) {
          continue;
        }
        if (rows >= 0 && rows != tensor.elementCount()) {
          throw InferenceException.invalidArgument(
              "'%s' has %d rows, and the features before it %d"
                  .formatted(feature.name(), tensor.elementCount(), rows));
        }
        rows = tensor.elementCount();
      }
      if (rows < 0) {
        throw InferenceException.invalidArgument("none of the features is there");
      }
      return Math.toIntExact(rows);
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      if (results.isEmpty()) {
        return response;
      }
      Tensor matrix = NamedTensors.require(response.outputs(), output);
      float[] values = Numbers.toFloats(matrix);
      int width = results.size();
      if (matrix.shape().rank() != 2 || matrix.shape().dim(1) != width) {
        throw InferenceException.invalidArgument(
            "the output '%s' is %s, expected %d columns".formatted(output, matrix, width));
      }
      int rows = (int) matrix.shape().dim(0);
      try (TensorMap.Builder columns = TensorMap.builder()) {
        for (int column = 0; column < width; column++) {
          float[] result = new float[rows];
          for (int row = 0; row < rows; row++) {
            result[row] = values[row * width + column];
          }
          columns.put(results.get(column), Tensor.copyOf(Shape.of(rows), result));
        }
        return NamedTensors.replaceOutputs(response, List.of(output), columns.build());
      }
    }
  }
}

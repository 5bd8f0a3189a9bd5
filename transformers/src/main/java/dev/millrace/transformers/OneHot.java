package dev.millrace.transformers;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
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

/** Names or numbers of classes into rows of zeros with a one. */
public final class OneHot extends StepKind {
  private enum Unknown {
    ERROR,
    ZEROS
  }

  public OneHot() {
    super("one-hot");
  }

  @Override
  String summary() {
    return "A row with a 1 at the place of its class for each name (BYTES) or number (INT64) of a"
        + " class that clients send. With `index`, the class's number instead of a row.";
  }

  @Override
  List<Option> options() {
    List<Option> options = new ArrayList<>();
    options.add(
        new Option("input", "name", "the only one", "The model's numeric input: [-1,n], or [-1]."));
    options.addAll(StepSettings.labelOptions("none: clients send numbers"));
    options.add(
        new Option(
            "unknown", "error, zeros", "error", "What an unknown class is; with index, -1."));
    options.add(
        new Option("index", "true or false", "false", "Whether numbers are made, not rows."));
    return options;
  }

  @Override
  String example() {
    return """
    transformers:
      - one-hot:
          input: colour
          labels: [red, green, blue]
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source);
  }

  private static final class Step extends ComputingStep {
    private final String chosen;
    private final List<String> labels;
    private final Map<String, Integer> places = new HashMap<>();
    private final Unknown unknown;
    private final boolean index;

    /** The input and how it is taken; set when the model is described. */
    private String name = "";

    private DataType type = DataType.FP32;
    private int width;

    Step(OneHot kind, TransformerSource source) {
      super(kind);
      Settings settings = source.settings();
      chosen = settings.string("input").orElse("");
      labels = StepSettings.labels(source);
      for (String label : labels) {
        if (places.put(label, places.size()) != null) {
          throw settings.bad("labels", label, "each name once");
        }
      }
      unknown = settings.oneOf("unknown", Unknown.class).orElse(Unknown.ERROR);
      index = settings.bool("index").orElse(false);
      if (index && labels.isEmpty()) {
        throw settings.bad("index", index, "labels to make numbers of");
      }
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      TensorSpec spec = NamedTensors.choose(inner.inputs(), "input", chosen);
      name = spec.name();
      type = spec.dataType();
      int rank = index ? 1 : 2;
      if (type == DataType.BYTES || spec.shape().rank() != rank) {
        throw InferenceException.invalidArgument(
            "the input '%s' is %s%s, expected numbers of %d dimension%s"
                .formatted(name, type, spec.shape(), rank, rank == 1 ? "" : "s"));
      }
      long declared = index ? labels.size() : spec.shape().dim(1);
      width = (int) (declared < 0 ? labels.size() : declared);
      if (width == 0 || (!labels.isEmpty() && width != labels.size())) {
        throw InferenceException.invalidArgument(
            "the input '%s' is %s wide, and there are %d labels"
                .formatted(name, declared < 0 ? "any" : declared, labels.size()));
      }
      TensorSpec sent =
          new TensorSpec(
              name,
              labels.isEmpty() ? DataType.INT64 : DataType.BYTES,
              Shape.of(spec.shape().dim(0)),
              spec.optional());
      return inner.withInputs(
          inner.inputs().stream().map(each -> each.equals(spec) ? sent : each).toList());
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      Tensor sent = request.inputs().get(name);
      if (sent == null) {
        return request;
      }
      long[] classes = classes(sent);
      Tensor made = index ? Numbers.of(type, sent.shape(), classes) : rows(classes);
      return NamedTensors.replaceInputs(request, List.of(name), TensorMap.of(name, made));
    }

    private Tensor rows(long[] classes) {
      float[] ones = new float[Math.multiplyExact(classes.length, width)];
      for (int i = 0; i < classes.length; i++) {
        if (classes[i] >= 0) {
          ones[i * width + (int) classes[i]] = 1;
        }
      }
      return Numbers.of(type, Shape.of(classes.length, width), ones);
    }

    /** The class of each row; -1 for unknown ones. */
    private long[] classes(Tensor sent) {
      if (labels.isEmpty()) {
        long[] classes = Numbers.toLongs(sent);
        for (int i = 0; i < classes.length; i++) {
          if (classes[i] < 0 || classes[i] >= width) {
            classes[i] = unknown(i, String.valueOf(classes[i]), "0 to " + (width - 1));
          }
        }
        return classes;
      }
      List<String> names = sent.toStrings();
      long[] classes = new long[names.size()];
      for (int i = 0; i < classes.length; i++) {
        Integer place = places.get(names.get(i));
        classes[i] =
            place == null ? unknown(i, "'" + names.get(i) + "'", "one of " + labels) : place;
      }
      return classes;
    }

    private long unknown(int row, String value, String expected) {
      return switch (unknown) {
        case ZEROS -> -1;
        case ERROR ->
            throw InferenceException.invalidArgument(
                "'%s' in row %d: expected %s, got %s"
                    .formatted(name, row, shortened(expected), shortened(value)));
      };
    }

    private static String shortened(String text) {
      return text.length() <= 200 ? text : text.substring(0, 200) + "…";
    }
  }
}

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
import java.util.List;

/** The best classes of a row of scores. */
public final class TopK extends StepKind {
  public TopK() {
    super("top-k");
  }

  @Override
  String summary() {
    return "The best classes of each row of scores, best first: the outputs `scores` FP32[-1,k],"
        + " `classes` INT64[-1,k], and, with names, `labels` BYTES[-1,k], in place of the scores of"
        + " all. Of equal ones the first comes first; NaN comes last.";
  }

  @Override
  List<Option> options() {
    List<Option> options = new ArrayList<>();
    options.add(new Option("output", "name", "the only one", "The output of scores: [-1,n]."));
    options.add(new Option("k", "1 to 100000", "1", "How many; at most n are there."));
    options.addAll(StepSettings.labelOptions("none"));
    return options;
  }

  @Override
  String example() {
    return """
    transformers:
      - top-k:
          k: 3
          labels: [cat, dog, fish, bird]
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source);
  }

  private static final class Step extends ComputingStep {
    private final String chosen;
    private final int k;
    private final List<String> labels;

    /** Set when the model is described. */
    private String name = "";

    Step(TopK kind, TransformerSource source) {
      super(kind);
      Settings settings = source.settings();
      chosen = settings.string("output").orElse("");
      k = settings.integer("k", 1, 100_000).orElse(1);
      labels = StepSettings.labels(source);
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      TensorSpec spec = NamedTensors.choose(inner.outputs(), "output", chosen);
      name = spec.name();
      if (spec.dataType() == DataType.BYTES || spec.shape().rank() != 2) {
        throw InferenceException.invalidArgument(
            "the output '%s' is %s%s, expected numbers of 2 dimensions"
                .formatted(name, spec.dataType(), spec.shape()));
      }
      long width = spec.shape().dim(1);
      if (!labels.isEmpty() && width >= 0 && width != labels.size()) {
        throw InferenceException.invalidArgument(
            "the output '%s' has %d classes, and there are %d labels"
                .formatted(name, width, labels.size()));
      }
      Shape shape = Shape.of(spec.shape().dim(0), width < 0 ? Shape.ANY : Math.min(k, width));
      List<TensorSpec> made = new ArrayList<>();
      made.add(new TensorSpec("scores", DataType.FP32, shape));
      made.add(new TensorSpec("classes", DataType.INT64, shape));
      if (!labels.isEmpty()) {
        made.add(new TensorSpec("labels", DataType.BYTES, shape));
      }
      return inner.withOutputs(NamedTensors.replace(inner.outputs(), List.of(name), made));
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      Tensor all = NamedTensors.require(response.outputs(), name);
      float[] values = Numbers.toFloats(all);
      int rows = (int) all.shape().dim(0);
      int width = (int) all.shape().dim(1);
      int count = Math.min(k, width);
      float[] scores = new float[rows * count];
      long[] classes = new long[rows * count];
      for (int row = 0; row < rows; row++) {
        best(values, row * width, width, scores, classes, row * count, count);
      }
      Shape shape = Shape.of(rows, count);
      try (TensorMap.Builder made = TensorMap.builder()) {
        made.put("scores", Tensor.copyOf(shape, scores));
        made.put("classes", Tensor.copyOf(shape, classes));
        if (!labels.isEmpty()) {
          made.put("labels", Tensor.copyOf(shape, names(classes)));
        }
        return NamedTensors.replaceOutputs(response, List.of(name), made.build());
      }
    }

    private String[] names(long[] classes) {
      String[] names = new String[classes.length];
      for (int i = 0; i < names.length; i++) {
        names[i] =
            classes[i] < labels.size() ? labels.get((int) classes[i]) : String.valueOf(classes[i]);
      }
      return names;
    }

    /** Keeps the best seen in order, as insertion sort does: few are kept, and few get in. */
    private static void best(
        float[] values, int from, int width, float[] scores, long[] classes, int to, int count) {
      int kept = 0;
      for (int i = 0; i < width; i++) {
        float score = values[from + i];
        if (kept == count && !isBetter(score, scores[to + kept - 1])) {
          continue;
        }
        int place = kept < count ? kept++ : kept - 1;
        while (place > 0 && isBetter(score, scores[to + place - 1])) {
          scores[to + place] = scores[to + place - 1];
          classes[to + place] = classes[to + place - 1];
          place--;
        }
        scores[to + place] = score;
        classes[to + place] = i;
      }
    }

    private static boolean isBetter(float a, float b) {
      return a > b || (Float.isNaN(b) && !Float.isNaN(a));
    }
  }
}

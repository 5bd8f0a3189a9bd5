package dev.millrace.transformers;

import dev.millrace.api.Attributes;
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
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** One vector for each text, from the vectors of its tokens. */
public final class Pooling extends StepKind {
  private enum Mode {
    MEAN,
    MAX,
    CLS,
    LAST
  }

  public Pooling() {
    super("pooling");
  }

  @Override
  String summary() {
    return "One vector for each row from the vectors of its tokens, which is the embedding of a"
        + " text. Stands behind `tokenizer` in the list, so that it sees the mask.";
  }

  @Override
  List<Option> options() {
    return List.of(
        new Option(
            "output",
            "name",
            "the only one of three dimensions",
            "The model's output FP32[-1,-1,n] to pool."),
        new Option("mask", "name", "`attention_mask`", "The input that is 1 where a token counts."),
        new Option(
            "mode",
            "mean, max, cls, last",
            "mean",
            "The mean or the largest of the tokens that count, or the first or the last of them."),
        new Option(
            "normalize", "true or false", "true", "Whether vectors are scaled to length 1 (L2)."),
        new Option(
            "embedding",
            "name",
            "`sentence_embedding`",
            "The output that clients get in place of the pooled one: FP32[-1,n]."));
  }

  @Override
  String example() {
    return """
    transformers:
      - tokenizer
      - pooling:
          mode: cls
          normalize: false
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source.settings());
  }

  private static final class Step extends ComputingStep {
    private final Attributes.Key<long[]> maskKey = Attributes.Key.of("mask", long[].class);
    private final Optional<String> chosen;
    private final String mask;
    private final Mode mode;
    private final boolean normalize;
    private final String embedding;

    /** What is pooled; set when the model is described. */
    private String output = "";

    Step(Pooling kind, Settings settings) {
      super(kind);
      chosen = settings.string("output");
      mask = settings.string("mask").orElse("attention_mask");
      mode = settings.oneOf("mode", Mode.class).orElse(Mode.MEAN);
      normalize = settings.bool("normalize").orElse(true);
      embedding = settings.string("embedding").orElse("sentence_embedding");
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      List<TensorSpec> candidates =
          inner.outputs().stream()
              .filter(spec -> spec.dataType() == DataType.FP32 && spec.shape().rank() == 3)
              .toList();
      TensorSpec pooled =
          chosen.isPresent()
              ? NamedTensors.require(inner.outputs(), "output", chosen.get())
              : NamedTensors.choose(candidates, "output", "");
      if (pooled.dataType() != DataType.FP32 || pooled.shape().rank() != 3) {
        throw InferenceException.invalidArgument(
            "the output '%s' is %s%s; to pool it, it has to be FP32[-1,-1,n]"
                .formatted(pooled.name(), pooled.dataType(), pooled.shape()));
      }
      output = pooled.name();
      TensorSpec vector =
          new TensorSpec(
              embedding, DataType.FP32, Shape.of(pooled.shape().dim(0), pooled.shape().dim(2)));
      return inner.withOutputs(
          NamedTensors.replace(inner.outputs(), List.of(output), List.of(vector)));
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      Tensor counted = request.inputs().get(mask);
      return counted == null ? request : request.withAttribute(maskKey, Numbers.toLongs(counted));
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      Tensor tokens = NamedTensors.require(response.outputs(), output);
      int rows = (int) tokens.shape().dim(0);
      int length = (int) tokens.shape().dim(1);
      int width = (int) tokens.shape().dim(2);
      long[] counts = request.attribute(maskKey).orElse(null);
      if (counts != null && counts.length != rows * length) {
        throw InferenceException.invalidArgument(
            "the mask has %d elements, and the output '%s' is %s"
                .formatted(counts.length, output, tokens));
      }
      float[] values = tokens.toFloats();
      float[] pooled = new float[rows * width];
      for (int row = 0; row < rows; row++) {
        pool(values, row, length, width, counts, pooled);
        if (normalize) {
          normalize(pooled, row * width, width);
        }
      }
      Tensor vectors = Tensor.copyOf(Shape.of(rows, width), pooled);
      return NamedTensors.replaceOutputs(
          response, List.of(output), TensorMap.of(embedding, vectors));
    }

    private void pool(
        float[] values, int row, int length, int width, long @Nullable [] counts, float[] pooled) {
      int to = row * width;
      int tokens = 0;
      for (int i = 0; i < length; i++) {
        int token = row * length + i;
        if (counts != null && counts[token] == 0) {
          continue;
        }
        int from = token * width;
        if (tokens == 0 || mode == Mode.LAST) {
          System.arraycopy(values, from, pooled, to, width);
        } else if (mode == Mode.MEAN) {
          for (int j = 0; j < width; j++) {
            pooled[to + j] += values[from + j];
          }
        } else if (mode == Mode.MAX) {
          for (int j = 0; j < width; j++) {
            pooled[to + j] = Math.max(pooled[to + j], values[from + j]);
          }
        }
        tokens++;
        if (mode == Mode.CLS) {
          break;
        }
      }
      if (mode == Mode.MEAN && tokens > 1) {
        float share = 1f / tokens;
        for (int j = 0; j < width; j++) {
          pooled[to + j] *= share;
        }
      }
    }

    private static void normalize(float[] values, int start, int width) {
      double sum = 0;
      for (int j = start; j < start + width; j++) {
        sum += (double) values[j] * values[j];
      }
      float scale = sum == 0 ? 0 : (float) (1 / Math.sqrt(sum));
      for (int j = start; j < start + width; j++) {
        values[j] *= scale;
      }
    }
  }
}

package example;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A predictor in Java: it scores texts by the words in them. Its models are {@code *.keywords}
 * files, with a word and its score in each line.
 */
public final class KeywordsBackend implements Backend {
  @Override
  public String name() {
    return "keywords";
  }

  @Override
  public String modelFiles() {
    return "*.keywords";
  }

  @Override
  public Optional<Path> findModel(Path path) {
    if (!Files.isDirectory(path)) {
      return path.toString().endsWith(".keywords") ? Optional.of(path) : Optional.empty();
    }
    try (Stream<Path> files = Files.list(path)) {
      return files.filter(file -> file.toString().endsWith(".keywords")).sorted().findFirst();
    } catch (IOException e) {
      throw new InferenceException(ErrorCode.FAILED_PRECONDITION, path + " cannot be read", e);
    }
  }

  @Override
  public TensorModel load(ModelSource source) {
    source.settings().rejectUnknown();
    Map<String, Float> scores = new HashMap<>();
    try {
      for (String line : Files.readAllLines(source.path())) {
        String[] parts = line.strip().split("\\s+");
        if (parts.length == 2) {
          scores.put(parts[0].toLowerCase(Locale.ROOT), Float.parseFloat(parts[1]));
        }
      }
    } catch (IOException | NumberFormatException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s is no list of words and scores: %s".formatted(source.path(), e.getMessage()),
          e);
    }
    return new Model(source, Map.copyOf(scores));
  }

  private record Model(ModelSource source, Map<String, Float> scores) implements TensorModel {
    @Override
    public ModelMetadata metadata() {
      return new ModelMetadata(
          source.id(),
          "keywords",
          List.of(new TensorSpec("text", DataType.BYTES, Shape.of(Shape.ANY))),
          List.of(new TensorSpec("score", DataType.FP32, Shape.of(Shape.ANY))),
          Integer.MAX_VALUE,
          Map.of());
    }

    @Override
    public Predictor newPredictor() {
      return new Scorer(scores);
    }

    @Override
    public void close() {}
  }

  private record Scorer(Map<String, Float> scores) implements Predictor {
    @Override
    public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
      List<String> texts = inputs.tensor(0).toStrings();
      float[] sums = new float[texts.size()];
      for (int i = 0; i < sums.length; i++) {
        for (String word : texts.get(i).toLowerCase(Locale.ROOT).split("\\W+")) {
          sums[i] += scores.getOrDefault(word, 0f);
        }
      }
      return TensorMap.of("score", Tensor.copyOf(Shape.of(sums.length), sums));
    }

    @Override
    public void close() {}
  }
}

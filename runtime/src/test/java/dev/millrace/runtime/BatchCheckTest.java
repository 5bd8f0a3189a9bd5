package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.runtime.BatchCheck.Verdict;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class BatchCheckTest {
  private final ScriptedModel backend = new ScriptedModel();

  private Verdict verdict(UnaryOperator<float[][]> compute) {
    backend.compute = compute;
    TensorModel model =
        backend.load(
            new ModelSource(
                new ModelId("m", "1"), Path.of("m"), Device.CPU, 1, 1, Settings.empty("none")));
    ModelMetadata metadata = model.metadata();
    Predictor predictor = model.newPredictor();
    try {
      return verdict(metadata, predictor);
    } finally {
      predictor.close();
      model.close();
    }
  }

  /** Of a model of texts, that makes numbers of all texts of a batch. */
  private static Verdict ofTexts(Function<List<String>, Tensor> compute) {
    ModelMetadata metadata =
        new ModelMetadata(
            new ModelId("m", "1"),
            "texts",
            List.of(new TensorSpec("X", DataType.BYTES, Shape.of(-1))),
            List.of(new TensorSpec("Y", DataType.INT64, Shape.of(-1, -1))),
            8,
            Map.of());
    Predictor predictor =
        new Predictor() {
          @Override
          public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
            return TensorMap.of("Y", compute.apply(inputs.tensor(0).toStrings()));
          }

          @Override
          public void close() {}
        };
    return verdict(metadata, predictor);
  }

  private static Verdict verdict(ModelMetadata metadata, Predictor predictor) {
    return BatchCheck.run(
        metadata,
        new SyntheticInputs(metadata, 1),
        predictor,
        Ticker.system(),
        System.nanoTime() + 60_000_000_000L);
  }

  /** The lengths of the words, with zeros where another text has more. */
  private static Tensor wordLengths(List<String> texts) {
    int most = texts.stream().mapToInt(text -> text.split(" ", -1).length).max().orElse(0);
    long[] lengths = new long[texts.size() * most];
    for (int i = 0; i < texts.size(); i++) {
      String[] words = texts.get(i).split(" ", -1);
      for (int w = 0; w < words.length; w++) {
        lengths[i * most + w] = words[w].length();
      }
    }
    return Tensor.copyOf(Shape.of(texts.size(), most), lengths);
  }

  @Test
  void resultsAsWideAsTheLongestText_areFound() {
    assertThat(ofTexts(BatchCheckTest::wordLengths))
        .isEqualTo(new Verdict(false, "off: output 'Y' of 1 row is of shape [1,1] or [1,2]"));
  }

  @Test
  void textsThatHaveToBeNumbers_areMerged() {
    assertThat(
            ofTexts(texts ->
                Tensor.copyOf(
                    Shape.of(texts.size(), 1),
                    texts.stream().mapToLong(Long::parseLong).toArray())))
        .isEqualTo(new Verdict(true, "on: verified"));
  }

  private static UnaryOperator<float[][]> eachRow(UnaryOperator<float[]> row) {
    return rows -> {
      float[][] results = new float[rows.length][];
      for (int i = 0; i < rows.length; i++) {
        results[i] = row.apply(rows[i].clone());
      }
      return results;
    };
  }

  private static float[] scaled(float[] row, float factor) {
    for (int i = 0; i < row.length; i++) {
      row[i] *= factor;
    }
    return row;
  }

  private static float[] mean(float[][] rows) {
    float[] mean = new float[rows[0].length];
    for (float[] row : rows) {
      for (int i = 0; i < mean.length; i++) {
        mean[i] += row[i] / rows.length;
      }
    }
    return mean;
  }

  private static float[] plus(float[] row, float[] other, float factor) {
    float[] sum = row.clone();
    for (int i = 0; i < sum.length; i++) {
      sum[i] += factor * other[i];
    }
    return sum;
  }

  @Test
  void rowsThatKeepToThemselves_areMerged() {
    assertThat(verdict(eachRow(row -> scaled(row, 3))))
        .isEqualTo(new Verdict(true, "on: verified"));
  }

  @Test
  void lastDigits_mayDependOnTheBatch() {
    assertThat(verdict(rows -> eachRow(row -> scaled(row, 1 + rows.length * 1e-5f)).apply(rows)))
        .isEqualTo(new Verdict(true, "on: verified"));
  }

  /** As DynamicQuantizeLinear does: one scale for the whole tensor, from its largest value. */
  @Test
  void quantisationByTheLargestValueOfTheBatch_isMerged_andSaysSo() {
    Verdict verdict =
        verdict(rows -> {
          float largest = 0;
          for (float[] row : rows) {
            for (float value : row) {
              largest = Math.max(largest, Math.abs(value));
            }
          }
          float step = largest / 4;
          return eachRow(
                  row -> {
                    for (int i = 0; i < row.length; i++) {
                      row[i] = Math.round(row[i] / step) * step;
                    }
                    return row;
                  })
              .apply(rows);
        });
    assertThat(verdict.merge()).isTrue();
    assertThat(verdict.note()).startsWith("on: verified; results vary with the batch by ");
  }

  @Test
  void sumOverTheBatchSoFar_isFound() {
    Verdict verdict =
        verdict(rows -> {
          float[][] sums = rows.clone();
          for (int i = 1; i < sums.length; i++) {
            sums[i] = plus(sums[i], sums[i - 1], 1);
          }
          return sums;
        });
    assertThat(verdict.merge()).isFalse();
    assertThat(verdict.note())
        .startsWith("off: output 'Y' changes by ")
        .endsWith(" % with the batch");
  }

  @Test
  void normalisationByTheBatchItself_isFound() {
    Verdict verdict = verdict(rows -> eachRow(row -> plus(row, mean(rows), -1)).apply(rows));
    assertThat(verdict.merge()).isFalse();
  }

  @Test
  void smallShareOfTheNeighbours_isToldFromQuantisation() {
    // Each row gets a fifth of every other one, and so of its twin.
    Verdict verdict =
        verdict(rows ->
            eachRow(row -> plus(scaled(row, 0.8f), mean(rows), 0.2f * rows.length)).apply(rows));
    assertThat(verdict.merge()).isFalse();
  }

  @Test
  void outputsThatAreNotRows_areFound() {
    assertThat(verdict(rows -> new float[][] {mean(rows)}))
        .isEqualTo(
            new Verdict(
                false, "off: output 'Y' of 2 rows is of shape [1,4], and of shape [1,4] of 1 row"));
    assertThat(verdict(rows -> new float[3][1]).note())
        .isEqualTo("off: output 'Y' of 1 row is of shape [3,1]");
    assertThat(verdict(rows -> new float[rows.length][rows.length]).note())
        .isEqualTo("off: output 'Y' of 2 rows is of shape [2,2], and of shape [1,1] of 1 row");
  }

  @Test
  void modelThatTakesOneRowOnly_isFound() {
    Verdict verdict =
        verdict(rows -> {
          if (rows.length > 1) {
            throw InferenceException.invalidArgument("reshape to [1,4]");
          }
          return rows;
        });
    assertThat(verdict)
        .isEqualTo(new Verdict(false, "off: it takes 1 row and fails with 2: reshape to [1,4]"));
  }

  @Test
  void modelThatIsOutOfMemory_isNotJudged() {
    Verdict verdict =
        verdict(rows -> {
          if (rows.length > 1) {
            throw new InferenceException(ErrorCode.RESOURCE_EXHAUSTED, "no memory");
          }
          return rows;
        });
    assertThat(verdict).isEqualTo(new Verdict(true, "on: not verified: no memory"));
  }

  @Test
  void modelThatDiffersFromItself_isNotJudged() {
    Random random = new Random(1);
    Verdict verdict =
        verdict(
            eachRow(row -> {
              row[0] = 100 * random.nextFloat();
              return row;
            }));
    assertThat(verdict)
        .isEqualTo(new Verdict(true, "on: not verified: its results are not the same twice"));
  }

  @Test
  void modelThatFails_isNotJudged() {
    assertThat(
            verdict(rows -> {
              throw new IllegalStateException("made-up inputs do not do");
            }))
        .isEqualTo(new Verdict(true, "on: not verified: made-up inputs do not do"));
  }

  @Test
  void notANumber_isTheSameAsItself_andDiffersFromNumbers() {
    assertThat(verdict(eachRow(row -> scaled(row, Float.NaN))).note()).isEqualTo("on: verified");
    assertThat(
            verdict(rows ->
                    eachRow(row -> scaled(row, rows.length > 1 ? Float.NaN : 1)).apply(rows))
                .note())
        .startsWith("off: output 'Y' has NaN where a row alone has ");
  }
}

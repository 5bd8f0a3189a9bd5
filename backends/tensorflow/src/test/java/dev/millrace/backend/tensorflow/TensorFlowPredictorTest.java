package dev.millrace.backend.tensorflow;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
class TensorFlowPredictorTest {
  @TempDir Path directory;

  @Test
  void outputs_comeInTheModelsOrderOrAsAskedFor() {
    try (TensorFlowFixture model = TensorFlowFixture.of(directory, SavedModels.simple())) {
      try (TensorMap outputs = model.predict(simpleInputs(2))) {
        assertThat(outputs.names()).containsExactly("OUTPUT0", "OUTPUT1");
        assertThat(outputs.tensor(0).toInts()).startsWith(2, 3, 4);
        assertThat(outputs.tensor(1).toInts()).startsWith(-2, -1, 0);
      }
      try (TensorMap outputs = model.predict(simpleInputs(2), "OUTPUT1", "OUTPUT0")) {
        assertThat(outputs.names()).containsExactly("OUTPUT1", "OUTPUT0");
        assertThat(outputs.tensor(0).toInts()).startsWith(-2, -1, 0);
      }
      try (TensorMap outputs = model.predict(simpleInputs(2), "OUTPUT1")) {
        assertThat(outputs.names()).containsExactly("OUTPUT1");
      }
    }
  }

  @Test
  void outputsNotAskedFor_areNotComputed() {
    SavedModelWriter graph =
        SavedModels.lookup()
            .node("same", "Identity", List.of("index"), Map.of("T", DataType.INT64))
            .signature(
                SavedModels.DEFAULT,
                signature ->
                    signature
                        .input("INDEX", "index:0", DataType.INT64, Shape.of(-1))
                        .output("ROW", "row:0", DataType.FP32, Shape.of(-1, 2))
                        .output("SAME", "same:0", DataType.INT64, Shape.of(-1)));
    try (TensorFlowFixture model = TensorFlowFixture.of(directory, graph);
        TensorMap outputs = model.predict(index(7), "SAME")) {
      assertThat(outputs.tensor(0).toLongs()).containsExactly(7);
      assertFailure(() -> model.predict(index(7), "ROW"), ErrorCode.INVALID_ARGUMENT, "7");
    }
  }

  @Test
  void choicesOfOutputs_areAnsweredHoweverManyThereAre() {
    int count = 8;
    SavedModelWriter graph = new SavedModelWriter().placeholder("x", DataType.INT64, Shape.of(-1));
    for (int i = 0; i < count; i++) {
      graph.node("y" + i, "Identity", List.of("x"), Map.of("T", DataType.INT64));
    }
    graph.signature(
        SavedModels.DEFAULT,
        signature -> {
          signature.input("X", "x:0", DataType.INT64, Shape.of(-1));
          for (int i = 0; i < count; i++) {
            signature.output("Y" + i, "y" + i + ":0", DataType.INT64, Shape.of(-1));
          }
        });
    try (TensorFlowFixture model = TensorFlowFixture.of(directory, graph)) {
      for (int choice = 1; choice < 1 << count; choice++) {
        List<String> wanted = new ArrayList<>();
        for (int i = count - 1; i >= 0; i--) {
          if ((choice >> i & 1) != 0) {
            wanted.add("Y" + i);
          }
        }
        try (TensorMap outputs =
            model.predict(
                TensorMap.of("X", Tensor.copyOf(Shape.of(1), (long) choice)),
                wanted.toArray(String[]::new))) {
          assertThat(outputs.names()).isEqualTo(wanted);
          assertThat(outputs.tensor(0).toLongs()).containsExactly(choice);
        }
      }
    }
  }

  @Test
  void inputWithDefault_mayBeLeftOut() {
    SavedModelWriter graph =
        new SavedModelWriter()
            .placeholder("x", DataType.FP32, Shape.of(-1))
            .placeholder("bias", DataType.FP32, Shape.of(2))
            .node("y", "AddV2", List.of("x", "bias"), Map.of("T", DataType.FP32))
            .signature(
                SavedModels.DEFAULT,
                signature ->
                    signature
                        .input("X", "x:0", DataType.FP32, Shape.of(-1))
                        .input("BIAS", "bias:0", DataType.FP32, Shape.of(2))
                        .byDefault("BIAS", SavedModelWriter.floats(Shape.of(2), 10))
                        .output("Y", "y:0", DataType.FP32, Shape.of(-1)));
    try (TensorFlowFixture model = TensorFlowFixture.of(directory, graph)) {
      assertThat(model.model.metadata().input("BIAS").orElseThrow().optional()).isTrue();
      assertThat(model.model.metadata().input("X").orElseThrow().optional()).isFalse();
      try (TensorMap outputs =
          model.predict(TensorMap.of("X", Tensor.copyOf(Shape.of(2), 1, 2f)))) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(11, 12);
      }
      try (TensorMap outputs =
          model.predict(
              TensorMap.of(
                  "X", Tensor.copyOf(Shape.of(2), 1, 2f),
                  "BIAS", Tensor.copyOf(Shape.of(2), 5, 6f)))) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(6, 8);
      }
    }
  }

  @Test
  void outputThatSharesItsInput_hasMemoryOfItsOwn() {
    try (TensorFlowFixture model =
            TensorFlowFixture.of(directory, SavedModels.identity(DataType.FP32, Shape.of(-1)));
        TensorMap outputs =
            model.predict(TensorMap.of("INPUT0", Tensor.copyOf(Shape.of(2), 1, 2f)));
        Tensor next = Tensor.copyOf(Shape.of(2), 3, 4f)) {
      assertThat(next.toFloats()).containsExactly(3, 4);
      assertThat(outputs.tensor(0).toFloats()).containsExactly(1, 2);
    }
  }

  @Test
  void outputs_outliveTheModel() {
    TensorFlowFixture model = TensorFlowFixture.of(directory, SavedModels.simple());
    TensorMap outputs = model.predict(simpleInputs(1));
    model.close();
    try (outputs) {
      assertThat(outputs.tensor(0).toInts()).startsWith(1, 2, 3);
    }
  }

  @Test
  void valuesAtFault_areTheClientsError() {
    try (TensorFlowFixture model = TensorFlowFixture.of(directory, SavedModels.lookup())) {
      assertThatThrownBy(() -> model.predict(index(7)))
          .isInstanceOfSatisfying(
              InferenceException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT))
          .hasMessage("indices[0] = 7 is not in [0, 3)");
      try (TensorMap outputs = model.predict(index(1))) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(2, 3);
      }
    }
  }

  @Test
  void shapesThatDoNotFitEachOther_areTheClientsError() {
    try (TensorFlowFixture model = TensorFlowFixture.of(directory, SavedModels.simple())) {
      TensorMap inputs =
          TensorMap.of(
              "INPUT0", Tensor.copyOf(Shape.of(2, 16), new int[32]),
              "INPUT1", Tensor.copyOf(Shape.of(3, 16), new int[48]));
      assertThatThrownBy(() -> model.predict(inputs))
          .isInstanceOfSatisfying(
              InferenceException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT))
          .hasMessage("Incompatible shapes: [2,16] vs. [3,16]");
    }
  }

  @Test
  void namesThatAreUnknownOrMissing_areTheClientsError() {
    try (TensorFlowFixture model = TensorFlowFixture.of(directory, SavedModels.simple())) {
      assertFailure(
          () -> model.predict(TensorMap.of("INPUT0", Tensor.copyOf(Shape.of(1, 16), new int[16]))),
          ErrorCode.INVALID_ARGUMENT,
          "input 'INPUT1' is missing");
      assertFailure(
          () ->
              model.predict(
                  TensorMap.builder()
                      .put("INPUT0", Tensor.copyOf(Shape.of(1, 16), new int[16]))
                      .put("INPUT1", Tensor.copyOf(Shape.of(1, 16), new int[16]))
                      .put("INPUT2", Tensor.copyOf(Shape.of(1, 16), new int[16]))
                      .build()),
          ErrorCode.INVALID_ARGUMENT,
          "the model has no input [INPUT2]; it has [INPUT0, INPUT1]");
      assertFailure(
          () -> model.predict(simpleInputs(1), "OUTPUT2"),
          ErrorCode.INVALID_ARGUMENT,
          "the model has no output 'OUTPUT2'");
      assertFailure(
          () -> model.predict(simpleInputs(1), "OUTPUT1", "OUTPUT1"),
          ErrorCode.INVALID_ARGUMENT,
          "output 'OUTPUT1' is asked for twice");
    }
  }

  /** Each of these ends the process if the engine is asked to make it. */
  @Test
  void emptyTensorsOfEndlessShape_areTheClientsError() {
    long half = 1L << 62;
    try (TensorFlowFixture model =
        TensorFlowFixture.of(directory, SavedModels.identity(DataType.FP32, Shape.ANY_RANK))) {
      for (Shape shape :
          List.of(
              Shape.of(half, 4, 0),
              Shape.of(0, half, 4),
              Shape.of(Long.MAX_VALUE, Long.MAX_VALUE, 0))) {
        assertFailure(
            () -> model.predict(TensorMap.of("INPUT0", Tensor.copyOf(shape, new float[0]))),
            ErrorCode.INVALID_ARGUMENT,
            "shape %s of input 'INPUT0' has dimensions that are too large".formatted(shape));
      }
      try (TensorMap outputs =
          model.predict(TensorMap.of("INPUT0", Tensor.copyOf(Shape.of(half, 0), new float[0])))) {
        assertThat(outputs.tensor(0).shape()).isEqualTo(Shape.of(half, 0));
      }
    }
  }

  @Test
  void wrongDatatype_isAnErrorAndNotACrash() {
    try (TensorFlowFixture model =
        TensorFlowFixture.of(directory, SavedModels.identity(DataType.FP32, Shape.of(-1)))) {
      assertThatThrownBy(
              () -> model.predict(TensorMap.of("INPUT0", Tensor.copyOf(Shape.of(1), "text"))))
          .isInstanceOf(InferenceException.class);
    }
  }

  @Test
  void predictors_runAtTheSameTime() throws Exception {
    Path saved = SavedModels.simple().write(directory);
    for (int threads : new int[] {1, 2}) {
      List<Future<?>> results = new ArrayList<>();
      try (TensorModel model = TensorFlowFixture.load(saved, 4, threads, Map.of());
          ExecutorService pool = Executors.newFixedThreadPool(4)) {
        for (int i = 0; i < 4; i++) {
          int offset = i * 1000;
          Predictor predictor = model.newPredictor();
          results.add(pool.submit(() -> runMany(predictor, 500, offset)));
        }
        for (Future<?> result : results) {
          result.get();
        }
      }
    }
  }

  private static void runMany(Predictor predictor, int runs, int offset) {
    try (predictor) {
      for (int i = offset; i < offset + runs; i++) {
        try (TensorMap inputs = simpleInputs(i);
            TensorMap outputs = predictor.predict(inputs, List.of())) {
          assertThat(outputs.tensor(0).toInts()[15]).isEqualTo(15 + i);
        }
      }
    }
  }

  private static TensorMap index(long index) {
    return TensorMap.of("INDEX", Tensor.copyOf(Shape.of(1), index));
  }

  /** INPUT0 counts from 0, INPUT1 is {@code value} throughout. */
  private static TensorMap simpleInputs(int value) {
    int[] counting = new int[16];
    int[] same = new int[16];
    for (int i = 0; i < 16; i++) {
      counting[i] = i;
      same[i] = value;
    }
    return TensorMap.of(
        "INPUT0", Tensor.copyOf(Shape.of(1, 16), counting),
        "INPUT1", Tensor.copyOf(Shape.of(1, 16), same));
  }

  private static void assertFailure(ThrowingCallable action, ErrorCode code, String words) {
    assertThatThrownBy(action)
        .isInstanceOfSatisfying(
            InferenceException.class, failure -> assertThat(failure.code()).isEqualTo(code))
        .hasMessageContaining(words);
  }
}

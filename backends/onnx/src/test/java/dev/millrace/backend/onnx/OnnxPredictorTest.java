package dev.millrace.backend.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import dev.millrace.testing.OnnxModelWriter;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
class OnnxPredictorTest {
  @TempDir Path directory;

  @Test
  void simple_addsAndSubtracts() {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.simple());
        TensorMap outputs = onnx.predict(simpleInputs(7))) {
      assertThat(outputs.names()).containsExactly("OUTPUT0", "OUTPUT1");
      assertThat(outputs.tensor(0).toInts()).startsWith(7, 8, 9).hasSize(16);
      assertThat(outputs.tensor(1).toInts()).startsWith(-7, -6, -5).hasSize(16);
    }
  }

  @Test
  void simpleString_addsAndSubtracts() {
    TensorMap inputs =
        TensorMap.of(
            "INPUT0", texts(Collections.nCopies(16, "40")),
            "INPUT1", texts(Collections.nCopies(16, "-2")));
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.simpleString());
        TensorMap outputs = onnx.predict(inputs)) {
      assertThat(outputs.tensor(0).toStrings()).containsOnly("38");
      assertThat(outputs.tensor(1).toStrings()).containsOnly("42");
    }
  }

  private static Tensor texts(List<String> texts) {
    return Tensor.copyOf(Shape.of(1, 16), texts.toArray(String[]::new));
  }

  @Test
  void severalTypes_areKeptApart() {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.manyTypes());
        TensorMap outputs = onnx.predict(manyTypesInputs())) {
      assertThat(outputs.names()).containsExactly("not_flag", "twice", "same_text", "negated");
      assertThat(outputs.tensor(0).data().get(0)).isZero();
      assertThat(outputs.tensor(1).toLongs()).containsExactly(4L, -6L);
      assertThat(outputs.tensor(2).toStrings()).containsExactly("ä", "\uD83D\uDE00");
      assertThat(outputs.tensor(3).toFloats()).containsExactly(-1, -2, -3, -4, -5, -6f);
    }
  }

  @Test
  void requestedOutputs_comeAloneAndInTheirOrder() {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.manyTypes());
        TensorMap outputs = onnx.predict(manyTypesInputs(), "negated", "twice")) {
      assertThat(outputs.names()).containsExactly("negated", "twice");
      assertThat(outputs.tensor(1).toLongs()).containsExactly(4L, -6L);
    }
  }

  /** In another order than the model's. */
  private static TensorMap manyTypesInputs() {
    return TensorMap.builder()
        .put("vector", Tensor.copyOf(Shape.of(2, 3), 1, 2, 3, 4, 5, 6f))
        .put("text", Tensor.copyOf(Shape.of(2), "ä", "\uD83D\uDE00"))
        .put("flag", Tensor.copyOf(DataType.BOOL, Shape.of(2), ByteBuffer.wrap(new byte[] {1, 0})))
        .put("number", Tensor.copyOf(Shape.of(2), 2L, -3L))
        .build();
  }

  @Test
  void inputWithDefault_mayBeLeftOut() {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.defaultInput())) {
      assertThat(onnx.model.metadata().input("BIAS").orElseThrow().optional()).isTrue();
      try (TensorMap outputs =
          onnx.predict(TensorMap.of("X", Tensor.copyOf(Shape.of(1, 2), 1, 2f)))) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(11, 22);
      }
      try (TensorMap outputs =
          onnx.predict(
              TensorMap.of(
                  "X", Tensor.copyOf(Shape.of(1, 2), 1, 2f),
                  "BIAS", Tensor.copyOf(Shape.of(2), 5, 6f)))) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(6, 8);
      }
    }
  }

  @Test
  void inputOfOptionalType_mayBeLeftOut() {
    byte[] model =
        OnnxModelWriter.graph("optional")
            .optionalInput("X", DataType.FP32, -1)
            .output("GIVEN", DataType.BOOL)
            .node("OptionalHasElement", List.of("X"), List.of("GIVEN"))
            .toByteArray();
    try (OnnxFixture onnx = OnnxFixture.of(directory, model)) {
      assertThat(onnx.model.metadata().input("X").orElseThrow().optional()).isTrue();
      try (TensorMap outputs = onnx.predict(TensorMap.empty())) {
        assertThat(outputs.tensor(0).data().get(0)).isZero();
      }
      try (TensorMap outputs = onnx.predict(TensorMap.of("X", Tensor.copyOf(Shape.of(1), 1f)))) {
        assertThat(outputs.tensor(0).data().get(0)).isOne();
      }
    }
  }

  @Test
  void scalars_haveNoDimensions() {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.scalars());
        TensorMap outputs =
            onnx.predict(
                TensorMap.of(
                    "X", Tensor.copyOf(Shape.scalar(), 1.5f),
                    "Y", Tensor.copyOf(Shape.scalar(), 2f)))) {
      assertThat(outputs.tensor(0).shape()).isEqualTo(Shape.scalar());
      assertThat(outputs.tensor(0).toFloats()).containsExactly(3.5f);
    }
  }

  @Test
  void infinitiesAndNan_arePassedOn() {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.notFinite());
        TensorMap outputs =
            onnx.predict(TensorMap.of("X", Tensor.copyOf(Shape.of(3), -1, 0, 1f)))) {
      assertThat(outputs.tensor(0).toFloats())
          .containsExactly(Float.NEGATIVE_INFINITY, Float.NaN, Float.POSITIVE_INFINITY);
    }
  }

  @Test
  void listOfMaps_isServedAsOneRowPerMap() {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.classifier())) {
      try (TensorMap outputs =
          onnx.predict(TensorMap.of("INDEX", Tensor.copyOf(Shape.of(2), 2L, 0L)))) {
        assertThat(outputs.tensor(1).shape()).isEqualTo(Shape.of(2, 2));
        assertThat(outputs.tensor(1).toFloats()).containsExactly(4, 5, 0, 1);
      }
      try (TensorMap outputs =
          onnx.predict(TensorMap.of("INDEX", Tensor.copyOf(Shape.of(0), new long[0])))) {
        assertThat(outputs.tensor(1).shape()).isEqualTo(Shape.of(0, 0));
      }
    }
  }

  @Test
  void outputThatIsAnInput_hasMemoryOfItsOwn() {
    byte[] model =
        OnnxModelWriter.graph("pass")
            .input("X", DataType.FP32, -1)
            .output("X", DataType.FP32, -1)
            .toByteArray();
    try (OnnxFixture onnx = OnnxFixture.of(directory, model);
        TensorMap outputs = onnx.predict(TensorMap.of("X", Tensor.copyOf(Shape.of(2), 1, 2f)));
        Tensor next = Tensor.copyOf(Shape.of(2), 3, 4f)) {
      // The pool gives the memory of the input to the next tensor.
      assertThat(next.toFloats()).containsExactly(3, 4);
      assertThat(outputs.tensor(0).toFloats()).containsExactly(1, 2);
    }
  }

  @Test
  void outputs_outliveTheModel() {
    OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.simple());
    TensorMap outputs = onnx.predict(simpleInputs(1));
    onnx.close();
    try (outputs) {
      assertThat(outputs.tensor(0).toInts()).startsWith(1, 2, 3);
    }
  }

  @Test
  void valuesAtFault_areTheClientsError() {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.lookup())) {
      assertFailure(
          () -> onnx.predict(TensorMap.of("INDEX", Tensor.copyOf(Shape.of(1), 7L))),
          ErrorCode.INVALID_ARGUMENT,
          "indices element out of data bounds, idx=7 must be within the inclusive range [-3,2]");
      try (TensorMap outputs =
          onnx.predict(TensorMap.of("INDEX", Tensor.copyOf(Shape.of(1), 1L)))) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(2, 3);
      }
    }
  }

  @Test
  void unknownNames_areTheClientsError() {
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.simple())) {
      assertFailure(
          () -> onnx.predict(TensorMap.of("INPUT2", Tensor.copyOf(Shape.of(1, 16), new int[16]))),
          ErrorCode.INVALID_ARGUMENT,
          "INPUT2");
      assertFailure(
          () -> onnx.predict(simpleInputs(1), "OUTPUT2"), ErrorCode.INVALID_ARGUMENT, "OUTPUT2");
    }
  }

  @Test
  void failureInsideAnOperator_saysWhichWithoutTheEnginesFiles() {
    byte[] unnamed =
        OnnxModelWriter.graph("unnamed")
            .input("A", DataType.FP32, -1)
            .input("B", DataType.FP32, -1)
            .output("Y", DataType.FP32, -1)
            .node("Add", List.of("A", "B"), List.of("Y"))
            .toByteArray();
    try (OnnxFixture onnx = OnnxFixture.of(directory, unnamed)) {
      TensorMap inputs =
          TensorMap.of(
              "A", Tensor.copyOf(Shape.of(2), 1f, 2f), "B", Tensor.copyOf(Shape.of(3), 1f, 2f, 3f));
      assertThatThrownBy(() -> onnx.predict(inputs))
          .hasMessageStartingWith("Non-zero status code returned while running")
          .hasMessageEndingWith("2 by 3")
          .message()
          .doesNotContain("onnxruntime", "\n");
    }
  }

  private static void assertFailure(ThrowingCallable action, ErrorCode code, String words) {
    assertThatThrownBy(action)
        .isInstanceOfSatisfying(
            InferenceException.class, failure -> assertThat(failure.code()).isEqualTo(code))
        .hasMessageContaining(words);
  }

  /** A mask of another length than its tokens: the engine fails inside, but is not at fault. */
  @Test
  void sizesThatContradictEachOther_areTheClientsError() {
    byte[] model =
        OnnxModelWriter.graph("masked")
            .input("ids", DataType.FP32, "batch", "length")
            .input("mask", DataType.FP32, "batch", "length")
            .output("Y", DataType.FP32, "batch", "length")
            .node("Mul", List.of("ids", "mask"), List.of("Y"))
            .toByteArray();
    try (OnnxFixture onnx = OnnxFixture.of(directory, model)) {
      assertFailure(
          () ->
              onnx.predict(
                  TensorMap.of(
                      "ids", Tensor.copyOf(Shape.of(1, 2), 1f, 2f),
                      "mask", Tensor.copyOf(Shape.of(1, 3), 1f, 1f, 0f))),
          ErrorCode.INVALID_ARGUMENT,
          "inputs 'ids' and 'mask' differ in dimension 'length', 2 and 3: Non-zero status code");
      try (TensorMap outputs =
          onnx.predict(
              TensorMap.of(
                  "ids", Tensor.copyOf(Shape.of(1, 2), 1f, 2f),
                  "mask", Tensor.copyOf(Shape.of(1, 1), 3f)))) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(3, 6);
      }
    }
  }

  @Test
  void predictors_runAtTheSameTime() throws Exception {
    int runs = 500;
    List<Future<?>> results = new ArrayList<>();
    try (OnnxFixture onnx = OnnxFixture.of(directory, OnnxModels.simple());
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      for (int i = 0; i < 4; i++) {
        int offset = i * 1000;
        Predictor predictor = onnx.model.newPredictor();
        results.add(threads.submit(() -> runMany(predictor, runs, offset)));
      }
      for (Future<?> result : results) {
        result.get();
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
}

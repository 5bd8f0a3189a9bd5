package dev.millrace.backend.pytorch;

import static dev.millrace.backend.pytorch.PyTorchFixture.spec;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.ObjIntConsumer;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class PyTorchPredictorTest {
  private static final int RUNS = 500;

  @AfterEach
  void nothingOfTheEngine_isLeftOpen() {
    assertThat(PyTorchEngine.openScopes()).isZero();
    assertThat(PyTorchEngine.manager().getManagedArrays()).isEmpty();
  }

  @Test
  void namesOfArguments_areTheInputs() {
    try (PyTorchFixture torch = PyTorchFixture.of("addsub");
        TensorMap outputs =
            torch.predict(TensorMap.of("INPUT1", row(1, 2), "INPUT0", row(10, 20)))) {
      assertThat(outputs.names()).containsExactly("OUTPUT__0", "OUTPUT__1");
      assertThat(outputs.tensor(0).toFloats()).containsExactly(11, 22);
      assertThat(outputs.tensor(1).toFloats()).containsExactly(9, 18);
    }
  }

  @Test
  void numberedNames_areTheInputsToo() {
    try (PyTorchFixture torch = PyTorchFixture.of("addsub");
        TensorMap outputs =
            torch.predict(TensorMap.of("INPUT__1", row(1, 2), "INPUT__0", row(10, 20)))) {
      assertThat(outputs.tensor(1).toFloats()).containsExactly(9, 18);
    }
  }

  @Test
  void declaredNames_areMatchedByNumberOrOrder() {
    for (List<String> names : List.of(List.of("b__1", "a__0"), List.of("minuend", "other"))) {
      Map<String, Object> settings =
          Map.of(
              "inputs",
              List.of(spec(names.get(0), "FP32", -1, 2), spec(names.get(1), "FP32", -1, 2)),
              "outputs",
              List.of(spec("total", "FP32", -1, 2), spec("difference", "fp32", -1, 2)));
      boolean swapped = names.contains("a__0");
      try (PyTorchFixture torch = PyTorchFixture.of("addsub", settings);
          TensorMap outputs =
              torch.predict(
                  TensorMap.of(names.get(0), row(10, 20), names.get(1), row(1, 2)),
                  "difference",
                  "total")) {
        assertThat(outputs.names()).containsExactly("difference", "total");
        assertThat(outputs.tensor(0).toFloats()).startsWith(swapped ? -9 : 9);
      }
    }
  }

  @Test
  void dict_namesTheOutputs() {
    try (PyTorchFixture torch = PyTorchFixture.of("named")) {
      try (TensorMap outputs = torch.predict(TensorMap.of("x", row(1, 2)))) {
        assertThat(outputs.names()).containsExactly("negated", "twice");
        assertThat(outputs.tensor(0).toFloats()).containsExactly(-1, -2);
      }
      try (TensorMap outputs = torch.predict(TensorMap.of("x", row(1, 2)), "twice")) {
        assertThat(outputs.names()).containsExactly("twice");
        assertThat(outputs.tensor(0).toFloats()).containsExactly(2, 4);
      }
    }
  }

  @Test
  void list_isNumbered() {
    try (PyTorchFixture torch = PyTorchFixture.of("listed");
        TensorMap outputs = torch.predict(TensorMap.of("x", row(1, 2)), "OUTPUT__2", "OUTPUT__0")) {
      assertThat(outputs.names()).containsExactly("OUTPUT__2", "OUTPUT__0");
      assertThat(outputs.tensor(0).toFloats()).containsExactly(3, 6);
      assertThat(outputs.tensor(1).toFloats()).containsExactly(1, 2);
    }
  }

  @Test
  void nestedResult_isNumberedThroughoutAndNoneIsLeftOut() {
    try (PyTorchFixture torch = PyTorchFixture.of("nested");
        TensorMap outputs = torch.predict(TensorMap.of("x", row(1, 2)))) {
      assertThat(outputs.names()).containsExactly("OUTPUT__0", "OUTPUT__2");
      assertThat(outputs.tensor(0).toFloats()).containsExactly(3);
      assertThat(outputs.tensor(1).toFloats()).containsExactly(2, 4);
    }
  }

  @Test
  void memoryInAnotherOrder_isPutInOurs() {
    try (PyTorchFixture torch = PyTorchFixture.of("transposed");
        TensorMap outputs =
            torch.predict(TensorMap.of("x", Tensor.copyOf(Shape.of(1, 2, 3), 1, 2, 3, 4, 5, 6f)))) {
      assertThat(outputs.tensor(0).shape()).isEqualTo(Shape.of(1, 3, 2));
      assertThat(outputs.tensor(0).toFloats()).containsExactly(1, 4, 2, 5, 3, 6);
    }
  }

  @Test
  void argumentWithDefault_mayBeLeftOut() {
    try (PyTorchFixture torch = PyTorchFixture.of("scaled")) {
      try (TensorMap outputs = torch.predict(TensorMap.of("x", row(1, 2)))) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(2, 4);
      }
      try (TensorMap outputs = torch.predict(TensorMap.of("x", row(1, 2), "bias", row(5, 5)))) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(7, 9);
      }
      assertInvalid(() -> torch.predict(TensorMap.of("bias", row(5, 5))), "input 'x' is missing");
    }
  }

  @Test
  void outputThatIsAnInput_hasMemoryOfItsOwn() {
    try (PyTorchFixture torch = PyTorchFixture.of("identity");
        TensorMap outputs = torch.predict(TensorMap.of("x", row(1, 2)));
        Tensor next = row(3, 4)) {
      // The pool gives the memory of the input to the next tensor.
      assertThat(next.toFloats()).containsExactly(3, 4);
      assertThat(outputs.tensor(0).toFloats()).containsExactly(1, 2);
    }
  }

  @Test
  void scriptThatWritesToItsInput_getsACopy() {
    try (PyTorchFixture torch = PyTorchFixture.of("inplace");
        TensorMap inputs = TensorMap.of("x", row(1, 2));
        TensorMap outputs = torch.predictor.predict(inputs, List.of())) {
      assertThat(outputs.tensor(0).toFloats()).containsExactly(2, 4);
      assertThat(inputs.tensor(0).toFloats()).containsExactly(1, 2);
    }
  }

  @Test
  void scriptThatKeepsItsInput_getsACopy() {
    try (PyTorchFixture torch = PyTorchFixture.of("keeper")) {
      torch.predict(TensorMap.of("x", row(1, 2))).close();
      try (Tensor next = row(8, 9);
          TensorMap outputs = torch.predict(TensorMap.of("x", row(3, 4)))) {
        assertThat(next.toFloats()).containsExactly(8, 9);
        assertThat(outputs.tensor(0).toFloats()).containsExactly(1, 2);
      }
    }
  }

  @Test
  void outputs_outliveTheModel() {
    PyTorchFixture torch = PyTorchFixture.of("doubled");
    TensorMap outputs = torch.predict(TensorMap.of("x", row(1, 2)));
    torch.close();
    try (outputs) {
      assertThat(outputs.tensor(0).toFloats()).containsExactly(2, 4);
    }
  }

  @Test
  void wrongTensors_areTheClientsErrorInOneLine() {
    try (PyTorchFixture torch = PyTorchFixture.of("addsub")) {
      assertInvalid(
          () ->
              torch.predict(
                  TensorMap.of(
                      "INPUT0", row(1, 2), "INPUT1", Tensor.copyOf(Shape.of(1, 3), 1, 2, 3f))),
          "The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 1");
    }
    try (PyTorchFixture torch = PyTorchFixture.of("digits")) {
      assertInvalid(
          () ->
              torch.predict(TensorMap.of("pixels", Tensor.copyOf(Shape.of(1, 64), new double[64]))),
          "mat1 and mat2 must have the same dtype, but got Double and Float");
      assertInvalid(
          () -> torch.predict(TensorMap.of("pixels", row(1, 2))),
          "mat1 and mat2 shapes cannot be multiplied (1x2 and 64x32)");
    }
  }

  @Test
  void valuesAtFault_areTheClientsError() {
    try (PyTorchFixture torch = PyTorchFixture.of("lookup")) {
      for (long id : new long[] {3, -1, Long.MAX_VALUE, Long.MIN_VALUE}) {
        assertInvalid(
            () -> torch.predict(TensorMap.of("ids", Tensor.copyOf(Shape.of(1), id))),
            "index out of range in self");
      }
    }
    try (PyTorchFixture torch = PyTorchFixture.of("strict")) {
      assertInvalid(() -> torch.predict(TensorMap.of("x", row(1, 2))), "four columns are wanted");
    }
  }

  @Test
  void quotientBeyondTheRange_neverReachesTheProcessor() {
    try (PyTorchFixture torch = PyTorchFixture.of("divided")) {
      assertInvalid(
          () ->
              torch.predict(
                  TensorMap.of(
                      "x", Tensor.copyOf(Shape.of(1), Long.MIN_VALUE),
                      "y", Tensor.copyOf(Shape.of(1), -1L))),
          "inference input 'x' has the least INT64");
      assertInvalid(
          () ->
              torch.predict(
                  TensorMap.of(
                      "x", Tensor.copyOf(Shape.of(1), Integer.MIN_VALUE),
                      "y", Tensor.copyOf(Shape.of(1), -1))),
          "inference input 'x' has the least INT32");
      assertInvalid(
          () ->
              torch.predict(
                  TensorMap.of(
                      "x", Tensor.copyOf(Shape.of(1), 5L), "y", Tensor.copyOf(Shape.of(1), 0L))),
          "ZeroDivisionError");
      try (TensorMap outputs =
          torch.predict(
              TensorMap.of(
                  "x", Tensor.copyOf(Shape.of(1), 7L), "y", Tensor.copyOf(Shape.of(1), -1L)))) {
        assertThat(outputs.tensor(0).toLongs()).containsExactly(-7);
      }
    }
  }

  @Test
  void names_areChecked() {
    try (PyTorchFixture torch = PyTorchFixture.of("addsub")) {
      assertInvalid(
          () -> torch.predict(TensorMap.of("INPUT0", row(1, 2), "INPUT2", row(1, 2))),
          "unexpected inference input 'INPUT2', expected one of [INPUT0, INPUT1]");
      assertInvalid(
          () -> torch.predict(TensorMap.of("INPUT1", row(1, 2))), "input 'INPUT0' is missing");
      assertInvalid(() -> torch.predict(TensorMap.empty()), "input 'INPUT0' is missing");
      assertInvalid(
          () -> torch.predict(TensorMap.of("INPUT0", row(1, 2), "INPUT__0", row(1, 2))),
          "inputs 'INPUT0' and 'INPUT__0' are the same argument");
      assertInvalid(
          () -> torch.predict(TensorMap.of("INPUT0", row(1, 2), "INPUT1", row(1, 2)), "SUM"),
          "unexpected inference output 'SUM'");
    }
  }

  @Test
  void datatypesThatTheEngineLacks_areRefused() {
    try (PyTorchFixture torch = PyTorchFixture.of("identity")) {
      assertInvalid(
          () -> torch.predict(TensorMap.of("x", Tensor.copyOf(Shape.of(1), "text"))),
          "inference input 'x' data-type is 'BYTES', but PyTorch takes one of [BOOL, UINT8");
      assertInvalid(() -> torch.predict(TensorMap.of("x", bytes(DataType.UINT16, 2))), "'UINT16'");
      assertInvalid(
          () -> torch.predict(TensorMap.of("x", bytes(DataType.BOOL, 2))),
          "has a byte 2, expected 0 or 1");
    }
  }

  private static Tensor bytes(DataType type, int value) {
    ByteBuffer data = ByteBuffer.allocate(type.byteSize());
    return Tensor.copyOf(type, Shape.of(1), data.put(0, (byte) value));
  }

  @Test
  void resultsThatCannotBeSent_areRefused() {
    assertFailure("number", ErrorCode.FAILED_PRECONDITION, "returns a value of type int");
    assertFailure("complex", ErrorCode.FAILED_PRECONDITION, "is of a type that cannot be sent");
    assertFailure("huge", ErrorCode.RESOURCE_EXHAUSTED, "can't allocate memory");
    assertFailure("big", ErrorCode.RESOURCE_EXHAUSTED, "'OUTPUT__0' of 8589934592 bytes");
  }

  private static void assertFailure(String model, ErrorCode code, String words) {
    try (PyTorchFixture torch = PyTorchFixture.of(model)) {
      assertFailure(
          () -> torch.predict(TensorMap.of("x", Tensor.copyOf(Shape.of(1, 1), 1f))), code, words);
    }
  }

  @Test
  void sparseResult_isMadeDense() {
    try (PyTorchFixture torch = PyTorchFixture.of("sparse");
        TensorMap outputs = torch.predict(TensorMap.of("x", row(0, 2)))) {
      assertThat(outputs.tensor(0).toFloats()).containsExactly(0, 2);
    }
  }

  @Test
  void outputsThatAreNotAsDeclared_areRefused() {
    Map<String, Object> settings = Map.of("outputs", List.of(spec("y", "INT64", -1, 2)));
    try (PyTorchFixture torch = PyTorchFixture.of("identity", settings)) {
      assertFailure(
          () -> torch.predict(TensorMap.of("x", row(1, 2))),
          ErrorCode.FAILED_PRECONDITION,
          "output 'y' is declared INT64[-1,2], but the script returns FP32[1,2]");
    }
    settings = Map.of("outputs", List.of(spec("thrice", "FP32", -1, 2)));
    try (PyTorchFixture torch = PyTorchFixture.of("named", settings)) {
      assertFailure(
          () -> torch.predict(TensorMap.of("x", row(1, 2))),
          ErrorCode.FAILED_PRECONDITION,
          "output 'thrice' is declared, but the script does not return it");
    }
  }

  private static void assertInvalid(ThrowingCallable action, String words) {
    assertFailure(action, ErrorCode.INVALID_ARGUMENT, words);
  }

  private static void assertFailure(ThrowingCallable action, ErrorCode code, String words) {
    assertThatThrownBy(action)
        .hasMessageContaining(words)
        .isInstanceOfSatisfying(
            InferenceException.class, failure -> assertThat(failure.code()).isEqualTo(code))
        .message()
        .doesNotContain("\n", "Traceback", ".cpp", ".h:");
  }

  @Test
  void predictors_runAtTheSameTime() throws Exception {
    try (PyTorchFixture torch = PyTorchFixture.of("addsub")) {
      inFourThreads(torch, PyTorchPredictorTest::runMany);
    }
  }

  @Test
  void predictorsOfAScriptThatKeepsItsInput_runOneAfterTheOther() throws Exception {
    try (PyTorchFixture torch = PyTorchFixture.of("keeper")) {
      torch.predict(TensorMap.of("x", row(0, 0))).close();
      inFourThreads(
          torch,
          (predictor, offset) -> {
            for (int i = 0; i < RUNS; i++) {
              try (TensorMap inputs = TensorMap.of("x", row(offset + i, offset + i));
                  TensorMap outputs = predictor.predict(inputs, List.of())) {
                float[] kept = outputs.tensor(0).toFloats();
                assertThat(kept[0]).isEqualTo(kept[1]);
              }
            }
          });
    }
  }

  private static void inFourThreads(PyTorchFixture torch, ObjIntConsumer<Predictor> action)
      throws Exception {
    List<Future<?>> results = new ArrayList<>();
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      for (int i = 0; i < 4; i++) {
        int offset = i * 1000;
        results.add(
            threads.submit(() -> {
              try (Predictor predictor = torch.model.newPredictor()) {
                action.accept(predictor, offset);
              }
            }));
      }
      for (Future<?> result : results) {
        result.get();
      }
    }
  }

  private static void runMany(Predictor predictor, int offset) {
    for (int i = offset; i < offset + RUNS; i++) {
      try (TensorMap inputs = TensorMap.of("INPUT0", row(i, 1), "INPUT1", row(i, 2));
          TensorMap outputs = predictor.predict(inputs, List.of())) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(2 * i, 3);
      }
    }
  }

  private static Tensor row(float... values) {
    return Tensor.copyOf(Shape.of(1, values.length), values);
  }
}

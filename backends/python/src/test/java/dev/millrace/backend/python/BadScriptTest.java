package dev.millrace.backend.python;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
class BadScriptTest {
  @TempDir Path directory;

  @BeforeAll
  static void requirePython() {
    PythonFixture.requirePython();
  }

  private InferenceException loading(String script, Map<String, Object> settings) {
    return catchThrowableOfType(
        InferenceException.class, () -> PythonFixture.of(directory, script, 2, settings).close());
  }

  private void refuses(String script, String... parts) {
    InferenceException failure = loading(script, Map.of());
    assertThat(failure).isNotNull();
    assertThat(failure.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION);
    assertThat(failure.getMessage()).contains(parts).doesNotContain("\n");
  }

  @Test
  void aSyntaxError_isTheReason() {
    refuses(
        "class Predictor:\n  def predict(self, x:\n    return x\n", "predictor.py", "SyntaxError");
  }

  @Test
  void aMissingClass_isTheReason() {
    refuses(
        "class Other:\n  pass\n",
        "predictor.py has no class Predictor or Predict, nor one that extends kserve.Model; it has"
            + " Other");
  }

  @Test
  void severalModelsOfKserve_areTheReason() {
    refuses(
        """
        import kserve
        class One(kserve.Model):
          def predict(self, x): return x
        class Two(kserve.Model):
          def predict(self, x): return x
        """,
        "predictor.py has several classes that extend kserve.Model: One, Two; say which in 'class'");
  }

  @Test
  void aMissingMethod_isTheReason() {
    refuses("class Predictor:\n  pass\n", "class Predictor of predictor.py has no method predict");
  }

  @Test
  void anInitThatRaises_isTheReason() {
    refuses(
        """
        class Predictor:
          def __init__(self):
            raise RuntimeError('no model here')
          def predict(self, x): return x
        """,
        "line 3, in __init__",
        "RuntimeError: no model here");
  }

  @Test
  void anInitThatAsksForTooMuch_isTheReason() {
    refuses(
        "class Predictor:\n  def __init__(self, database): pass\n  def predict(self, x): return x\n",
        "Predictor.__init__ asks for 'database'; what can be injected is project");
  }

  @Test
  void aMissingPackage_isTheReason() {
    refuses("import no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package'");
  }

  @Test
  void aScriptThatExits_isTheReason() {
    refuses("import sys\nsys.exit(3)\n", "SystemExit: 3");
    refuses(
        "import os\nprint('going down')\nos._exit(4)\n",
        "ended before it was ready (exit status 4); it said last: going down");
  }

  @Test
  void aWrongInterpreter_isTheReason() {
    String script = "class Predictor:\n  def predict(self, x): return x\n";
    assertThat(loading(script, Map.of("interpreter", "/no/such/python")).getMessage())
        .contains("/no/such/python");
    assertThat(loading(script, Map.of("interpreter", "true")).getMessage())
        .contains("ended before it was ready (exit status 0)");
  }

  @Test
  void aScriptThatHangs_isGivenUp() {
    assertThat(
            loading("import time\ntime.sleep(600)\n", Map.of("start-timeout", "1s")).getMessage())
        .isEqualTo("the script was not ready after 1 s");
  }

  @Test
  void anUnknownSetting_isRefused() {
    assertThat(loading("", Map.of("interpretor", "python3")).getMessage())
        .contains("did you mean 'interpreter'?");
    assertThat(loading("", Map.of("envelope", "new")).getMessage())
        .contains("envelope: expected one of unwrapped, raw, got 'new'");
  }

  private static final String RAISING =
      """
      import json
      class WithStatus(Exception):
          status_code = 422
      class Predictor:
          def predict(self, inputs):
              what = inputs[0]
              if what == "raise": raise ValueError("a bad thing")
              if what == "status": raise WithStatus("that cannot be")
              if what == "exit": raise SystemExit(2)
              if what == "object": return object()
              if what == "nan": return [float("nan"), float("inf")]
              if what == "set": return [{1}]
              if what == "cycle":
                  cycle = []
                  cycle.append(cycle)
                  return cycle
              if what == "deep":
                  deep = []
                  for _ in range(100000): deep = [deep]
                  return deep
              return what
      """;

  @Test
  void aPredictThatRaises_isAnsweredAndTheNextOneServed() {
    try (PythonFixture fixture = PythonFixture.of(directory, RAISING)) {
      fails(fixture, "raise", ErrorCode.INTERNAL, "ValueError: a bad thing");
      fails(fixture, "status", ErrorCode.INVALID_ARGUMENT, "that cannot be");
      fails(fixture, "exit", ErrorCode.INTERNAL, "SystemExit: 2");
      fails(
          fixture,
          "object",
          ErrorCode.INTERNAL,
          "the result cannot be written as JSON: a value of type object is no JSON; give numbers,"
              + " texts, lists, dicts or NumPy arrays");
      assertThat(fixture.texts("\"nan\"")).containsExactly("NaN", "Infinity");
      assertThat(fixture.texts("\"set\"")).containsExactly("[1]");
      assertThatThrownBy(() -> fixture.texts("\"cycle\""))
          .hasMessageContaining("cannot be written");
      assertThatThrownBy(() -> fixture.texts("\"deep\"")).hasMessageContaining("cannot be written");
      assertThatThrownBy(() -> fixture.texts("{not json"))
          .hasMessageContaining("element 0 of 'instances' is no JSON text");
      assertThat(fixture.texts("\"well\"")).containsExactly("\"well\"");
    }
  }

  private static void fails(PythonFixture fixture, String what, ErrorCode code, String message) {
    try (TensorMap rows = PythonFixture.rows('"' + what + '"')) {
      InferenceException failure =
          catchThrowableOfType(
              InferenceException.class, () -> fixture.predictor.predict(rows, List.of()));
      assertThat(failure.getMessage()).isEqualTo(message);
      assertThat(failure.code()).isEqualTo(code);
    }
  }

  @Test
  void outputsThatAreNotAsDeclared_areRefused() {
    Map<String, Object> settings =
        Map.of(
            "outputs", List.of(Map.of("name", "y", "datatype", "FP32", "shape", List.of(-1, 2))));
    String script = "class Predictor:\n  def predict(self, x): return [[1, 2, 3]]\n";
    try (PythonFixture fixture = PythonFixture.of(directory, script, 1, settings);
        TensorMap inputs =
            TensorMap.of("x", dev.millrace.api.Tensor.copyOf(dev.millrace.api.Shape.of(1), 1f))) {
      assertThatThrownBy(() -> fixture.predictor.predict(inputs, List.of()))
          .hasMessage("output 'y' is declared FP32[-1, 2], but the script gave FP32[1, 3]");
    }
  }
}

package dev.millrace.backend.python;

import static dev.millrace.backend.python.PythonFixture.rows;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@ExtendWith(TensorLeakExtension.class)
class PredictorScriptTest {
  @TempDir Path directory;

  @BeforeAll
  static void requirePython() {
    PythonFixture.requirePython();
  }

  @Test
  void rows_reachThePredictorAsAList() {
    String script =
        """
        class Predictor:
            def __init__(self):
                self.calls = 0
            def predict(self, anything):
                return [sum(row) if isinstance(row, list) else row["a"] for row in anything]
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("[1, 2, 3]", "{\"a\": \"é\"}")).containsExactly("6", "\"é\"");
      assertThat(fixture.outputName("[1]")).isEqualTo("predictions[1]");
      assertThat(fixture.model.metadata().platform()).isEqualTo("python");
      assertThat(fixture.model.metadata().inputs()).isEmpty();
      assertThat(fixture.model.metadata().properties())
          .containsEntry("class", "Predictor")
          .containsEntry("script", "predictor.py");
    }
  }

  @Test
  void theOlderClassName_does() {
    String script =
        """
        class Predict(object):
            def predict(self, id_value):
                return id_value[0][0]
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("[17]")).containsExactly("17");
      assertThat(fixture.outputName("[17]")).isEqualTo("predictions[]");
    }
  }

  @Test
  void coroutines_areAwaited() {
    String script =
        """
        import asyncio
        class Predictor:
            def __init__(self):
                self.loop = asyncio.get_event_loop()
            async def predict(self, inputs):
                await asyncio.sleep(0)
                assert asyncio.get_running_loop() is self.loop
                return [row * 2 for row in inputs]
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("1", "2")).containsExactly("2", "4");
    }
  }

  @Test
  void generators_areCollected() {
    String script =
        """
        class Predictor:
            def predict(self, inputs):
                for row in inputs:
                    yield row + 1
            async def classify(self, inputs):
                for row in inputs:
                    yield "class %d" % row
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("1", "2")).containsExactly("2", "3");
      TensorMap asked = TensorMap.of("classify:instances", Tensor.copyOf(Shape.of(1), "5"));
      try (TensorMap outputs = fixture.predict(asked)) {
        assertThat(outputs.tensor(0).toStrings()).containsExactly("\"class 5\"");
      }
    }
  }

  @Test
  void headersAndParameters_reachTheMethodsThatAskForThem() {
    String script =
        """
        class Predictor:
            def predict(self, rows, headers=None, parameters=None):
                return [rows[0], headers["x-user"], parameters["top"]]
            def classify(self, rows, *, parameters):
                return [rows[0], sorted(parameters)]
            def regress(self, rows, metadata):
                return [rows[0], sorted(metadata)]
        """;
    Parameters parameters = Parameters.copyOf(Map.of("header.x-user", "ann", "top", 2));
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.model.usesParameters()).isTrue();
      assertThat(given(fixture, "instances", parameters)).containsExactly("7", "\"ann\"", "2");
      assertThat(given(fixture, "classify:inputs", parameters)).containsExactly("7", "[\"top\"]");
      assertThat(given(fixture, "regress:inputs", parameters)).containsExactly("7", "[\"x-user\"]");
      assertThat(given(fixture, "regress:inputs", Parameters.empty())).containsExactly("7", "[]");
    }
  }

  private static List<String> given(PythonFixture fixture, String name, Parameters parameters) {
    try (TensorMap inputs = TensorMap.of(name, Tensor.copyOf(Shape.of(1), "7"));
        TensorMap outputs = fixture.predictor.predict(inputs, List.of(), parameters)) {
      return outputs.tensor(0).toStrings();
    }
  }

  @Test
  void theHeadersOfARequest_reachKservesClasses() {
    String script =
        """
        import kserve
        class Mine(kserve.Model):
            def preprocess(self, payload, headers=None):
                return {"instances": [headers["x-user"], sorted(payload)]}
            def predict(self, payload, headers=None, response_headers=None):
                return {"predictions": payload["instances"] + [headers["x-user"], response_headers]}
        """;
    Parameters parameters = Parameters.copyOf(Map.of("header.x-user", "ann", "top", 2));
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(given(fixture, "instances", parameters))
          .containsExactly("\"ann\"", "[\"instances\",\"top\"]", "\"ann\"", "{}");
    }
  }

  /** As KServe's own examples begin and end, of which only the class is for a server. */
  @Test
  void aScriptThatStartsKservesServer_isServed_andLoadsOnce() {
    String script =
        """
        import argparse
        from kserve import Model, ModelServer, PredictorConfig, logging, model_server
        from kserve.model import PredictorProtocol
        parser = argparse.ArgumentParser(parents=[model_server.parser])
        parser.add_argument("--factor", type=int, default=3)
        args, _ = parser.parse_known_args()
        class Mine(Model):
            loads = 0
            def __init__(self, name):
                super().__init__(name)
                self.load()
            def load(self):
                self.loads += 1
                self.ready = True
            def predict(self, payload, headers=None):
                return {"predictions": [args.factor, args.model_name, self.loads]}
        if __name__ == "__main__":
            if args.configure_logging:
                logging.configure_logging(args.log_config_file)
            ModelServer(workers=args.workers).start([Mine(args.model_name)])
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("0"))
          .containsExactly("3", '"' + fixture.model.metadata().id().name() + '"', "1");
    }
  }

  @Test
  void aModelThatOthersOfTheScriptExtend_isNotTheOneToServe_andMayAskWhereItsFilesAre() {
    String script =
        """
        import kserve, os
        class Base(kserve.Model):
            def __init__(self, name, model_dir):
                super().__init__(name)
                self.model_dir = model_dir
        class Mine(Base):
            def predict(self, payload):
                return {"predictions": [self.model_dir == os.environ["MODEL_FILES_PATH"]]}
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("0")).containsExactly("true");
    }
  }

  @Test
  void aDictOfKservesModel_isTheWholeAnswer() {
    String script =
        """
        import kserve
        class Mine(kserve.Model):
            def predict(self, payload):
                return {"result": payload["instances"], "count": 1}
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("7")).containsExactly("{\"result\":[7],\"count\":1}");
      assertThat(fixture.outputName("7")).isEqualTo("response[]");
    }
  }

  /** The package kserve as far as it matters here, with a server that would never come back. */
  @Test
  void theServerOfThePackageKserve_isNotStarted_andItsInputsHaveTheirElements() throws IOException {
    Path packages = Files.createDirectories(directory.resolve("packages"));
    Path kserve = Files.createDirectories(packages.resolve("kserve"));
    PythonFixture.write(
        kserve,
        "__init__.py",
        """
        from .model_server import ModelServer
        class InferRequest:
            def __init__(self, model_name, infer_inputs, request_id, parameters):
                self.inputs = infer_inputs
        class InferInput:
            def __init__(self, name, shape, datatype, data=None):
                self.name, self.shape, self.datatype = name, shape, datatype
                self._data, self._raw_data = data, None
            @property
            def data(self): return self._data
            @data.setter
            def data(self, data): self._data = data
        class Model:
            def __init__(self, name): self.name, self.ready = name, True
        """);
    PythonFixture.write(
        kserve,
        "model_server.py",
        """
        import argparse
        parser = argparse.ArgumentParser(add_help=False)
        parser.add_argument("--model_name", default="model")
        class ModelServer:
            def start(self, models): raise RuntimeError("a second server")
        """);
    String script =
        """
        import kserve
        class Mine(kserve.Model):
            def predict(self, request, headers=None):
                return {"predictions": [request.inputs[0].data, request.inputs[0].shape]}
        args, _ = kserve.model_server.parser.parse_known_args()
        assert args.model_name == "scripted"
        kserve.ModelServer().start([Mine(args.model_name)])
        """;
    Map<String, Object> settings = Map.of("environment", Map.of("PYTHONPATH", packages.toString()));
    try (PythonFixture fixture = PythonFixture.of(directory, script, 1, settings);
        TensorMap outputs =
            fixture.predict(
                TensorMap.of("x", Tensor.copyOf(Shape.of(1, 2), new float[] {1.5f, 2})))) {
      assertThat(outputs.tensor(0).toDoubles()).containsExactly(1.5, 2, 1, 2);
    }
  }

  @Test
  void keysThatJsonDoesNotKnow_becomeTheirTexts() {
    String script =
        """
        import datetime, uuid
        class Predictor:
            def predict(self, inputs):
                return [{datetime.date(2024, 1, 2): {uuid.UUID(int=1): 2}}, [{3: 4}], {(1, 2): 3}][: inputs[0]]
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("2"))
          .containsExactly(
              "{\"2024-01-02\":{\"00000000-0000-0000-0000-000000000001\":2}}", "[{\"3\":4}]");
      assertThatThrownBy(() -> fixture.texts("3"))
          .hasMessage(
              "row 2 of the result cannot be written as JSON: keys must be str, int, float, bool or"
                  + " None, not tuple");
    }
  }

  /** As Polars and Arrow have them, which neither extend nor imitate those of pandas. */
  @ParameterizedTest
  @ValueSource(strings = {"to_dicts", "to_pylist", "to_list"})
  void tablesOfOtherLibraries_becomeRows(String method) {
    String script =
        """
        class Table:
            columns = ["a"]
            def to_dict(self): return {"a": [1, None]}
            def %s(self): return [{"a": 1}, {"a": None}]
        class Predictor:
            def predict(self, inputs):
                return Table()
        """
            .formatted(method);
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("0")).containsExactly("{\"a\":1}", "{\"a\":null}");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"return [await task]", "yield await task"})
  void aCancelledTaskOfTheScript_isAnErrorLikeAnyOther(String end) {
    String script =
        """
        import asyncio, os
        class Predictor:
            async def predict(self, inputs):
                task = asyncio.ensure_future(asyncio.sleep(0, os.getpid()))
                if inputs[0]:
                    task.cancel()
                %s
        """
            .formatted(end);
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      List<String> process = fixture.texts("0");
      assertThatThrownBy(() -> fixture.texts("1"))
          .hasMessage("CancelledError")
          .extracting(e -> ((InferenceException) e).code())
          .isEqualTo(ErrorCode.INTERNAL);
      assertThat(fixture.texts("0")).isEqualTo(process);
    }
  }

  @Test
  void whatTheServerNotesForItself_isNoHeader() {
    String script =
        """
        class Predictor:
            def predict(self, rows, headers):
                return sorted(headers)
        """;
    Parameters parameters = Parameters.copyOf(Map.of("header.:protocol", "v1", "header.a", "b"));
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(given(fixture, "instances", parameters)).containsExactly("\"a\"");
    }
  }

  @Test
  void plainObjectsOfPython_becomeJson() {
    String script =
        """
        import dataclasses, enum, uuid
        @dataclasses.dataclass
        class Found:
            label: str
            parts: list
        class Color(enum.Enum):
            RED = "red"
        class NAType:
            '''As pandas says that a value is missing.'''
        class Predictor:
            def predict(self, inputs):
                return [Found("a", [Found("b", [])]), Color.RED, uuid.UUID(int=1), {"x": NAType()}]
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("0"))
          .containsExactly(
              "{\"label\":\"a\",\"parts\":[{\"label\":\"b\",\"parts\":[]}]}",
              "\"red\"",
              "\"00000000-0000-0000-0000-000000000001\"",
              "{\"x\":null}");
    }
  }

  @Test
  void anExceptionThatFailsToSayWhatItIs_isTheAnswerByItsName() {
    String script =
        """
        class Broken(Exception):
            def __str__(self):
                return self.missing
        class Predictor:
            def predict(self, inputs):
                if inputs[0]:
                    raise Broken()
                return inputs
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThatThrownBy(() -> fixture.texts("1")).hasMessage("Broken");
      assertThat(fixture.texts("0")).containsExactly("0");
    }
  }

  /**
   * Steps of the package kserve, which are coroutines: one that hands on, and one that does more.
   */
  @ParameterizedTest
  @CsvSource({"return payload,plain", "return dict(payload),coroutine"})
  void stepsInheritedFromKserve_areTakenOnlyWhereTheyDoSomething(String step, String way)
      throws IOException {
    Path packages = Files.createDirectories(directory.resolve("packages"));
    Path kserve = Files.createDirectories(packages.resolve("kserve"));
    PythonFixture.write(
        kserve,
        "__init__.py",
        """
        class InferRequest: pass
        class InferInput: pass
        class Model:
            def __init__(self, name): self.name = name
            def load(self): self.ready = True
            async def preprocess(self, payload, headers=None): %s
            async def postprocess(self, payload, headers=None): return payload
        """
            .formatted(step));
    String script =
        """
        import asyncio, kserve
        class Mine(kserve.Model):
            def predict(self, payload, headers=None):
                try:
                    asyncio.get_running_loop()
                    way = "coroutine"
                except RuntimeError:
                    way = "plain"
                return {"predictions": payload["instances"] + [way]}
        """;
    Map<String, Object> settings = Map.of("environment", Map.of("PYTHONPATH", packages.toString()));
    try (PythonFixture fixture = PythonFixture.of(directory, script, 1, settings)) {
      assertThat(fixture.texts("[1]")).containsExactly("[1]", '"' + way + '"');
    }
  }

  @Test
  void rows_areJsonTextsOneByOne() {
    try (PythonFixture fixture =
        PythonFixture.of(directory, "class Predictor:\n  def predict(self, x): return x\n")) {
      assertThat(fixture.texts(" [1, \"\\u00e9\"]\n", "NaN", "-Infinity", "\"\\ud800\"", "{}"))
          .containsExactly("[1,\"é\"]", "NaN", "-Infinity", "\"\\ud800\"", "{}");
      for (String wrong : List.of("1,2", "[1", "", "1] , [2")) {
        try (TensorMap asked = rows("7", wrong)) {
          assertThatThrownBy(() -> fixture.predictor.predict(asked, List.of()))
              .hasMessageStartingWith("element 1 of 'instances' is no JSON text: ")
              .extracting(e -> ((InferenceException) e).code())
              .isEqualTo(ErrorCode.INVALID_ARGUMENT);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"rows", "rows, *more", "rows, **more", "rows, threshold=0.5"})
  void aMethodThatAsksForNeither_getsItsInputsAlone(String arguments) {
    String script =
        """
        class Predictor:
            def predict(self, %s):
                return [sorted(name for name in locals() if name != "self"), rows]
        """
            .formatted(arguments);
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.model.usesParameters()).isFalse();
      Parameters parameters = Parameters.copyOf(Map.of("header.x-user", "ann"));
      assertThat(given(fixture, "instances", parameters)).hasSize(2).last().isEqualTo("[7]");
    }
  }

  @Test
  void aVerbThatTheScriptLacks_isUnimplemented() {
    try (PythonFixture fixture =
            PythonFixture.of(directory, "class Predictor:\n  def predict(self, x): return x\n");
        TensorMap asked = TensorMap.of("regress:inputs", Tensor.copyOf(Shape.of(1), "5"))) {
      assertThatThrownBy(() -> fixture.predictor.predict(asked, List.of()))
          .hasMessage("the script has no method regress")
          .extracting(e -> ((InferenceException) e).code())
          .isEqualTo(ErrorCode.UNIMPLEMENTED);
    }
  }

  @Test
  void everyName_isInjected() {
    String script =
        """
        import os
        class Predictor:
            def __init__(self, async_logger, model, deployment, project, unused=3):
                self.found = [model.name, model.version, deployment.name, unused]
                async_logger.log("started")
            def predict(self, inputs):
                return self.found
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("0")).containsExactly("\"scripted\"", "3", "\"scripted\"", "3");
    }
  }

  @Test
  void theEnvironment_saysWhatTheGuideSays() {
    PythonFixture.write(directory, "settings.yml", "answer: 42");
    String script =
        """
        import os
        class Predictor:
            def predict(self, inputs):
                return [os.environ.get(name) for name in inputs]
        """;
    Map<String, Object> settings =
        Map.of("config-file", "settings.yml", "environment", Map.of("MINE", "yes"));
    try (PythonFixture fixture = PythonFixture.of(directory, script, 1, settings)) {
      assertThat(
              fixture.texts(
                  "\"MODEL_FILES_PATH\"",
                  "\"ARTIFACT_FILES_PATH\"",
                  "\"CONFIG_FILE_PATH\"",
                  "\"DEPLOYMENT_NAME\"",
                  "\"MODEL_NAME\"",
                  "\"MODEL_VERSION\"",
                  "\"SCRIPT_PATH\"",
                  "\"SCRIPT_NAME\"",
                  "\"IS_PREDICTOR\"",
                  "\"IS_TRANSFORMER\"",
                  "\"MINE\""))
          .containsExactly(
              '"' + directory.toString() + '"',
              '"' + directory.toString() + '"',
              '"' + directory.resolve("settings.yml").toString() + '"',
              "\"scripted\"",
              "\"scripted\"",
              "\"3\"",
              '"' + directory.resolve("predictor.py").toString() + '"',
              "\"predictor.py\"",
              "\"true\"",
              "null",
              "\"yes\"");
    }
  }

  @Test
  void neighbours_canBeImported() {
    PythonFixture.write(directory, "helper.py", "VALUE = 7\n");
    String script =
        "import helper\nclass Predictor:\n  def predict(self, x): return helper.VALUE\n";
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.texts("0")).containsExactly("7");
    }
  }

  @Test
  void aNotebook_isAScript() {
    PythonFixture.write(
        directory,
        "predictor-mine.ipynb",
        """
        {"cells": [
          {"cell_type": "markdown", "source": ["# A class"]},
          {"cell_type": "code", "source": ["%matplotlib inline\\n", "!pip list\\n", "import math"]},
          {"cell_type": "code", "source": ["%%bash\\n", "exit 1"]},
          {"cell_type": "code",
           "source": ["class Predictor:\\n", "    def predict(self, x):\\n", "        return math.sqrt(x[0])"]}
        ], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}
        """);
    try (PythonFixture fixture = PythonFixture.load(directory, 1, Map.of())) {
      assertThat(fixture.texts("16")).containsExactly("4.0");
    }
  }

  @Test
  void aPickledEstimator_needsNoScript() {
    PythonFixture.write(
        directory,
        "make.py",
        """
        import pickle, sys
        class Doubler: pass
        with open(sys.argv[1], "wb") as file:
            pickle.dump(complex(1, 2), file)
        """);
    PythonFixture.write(directory, "model.pkl", "not a pickle");
    assertThatThrownBy(() -> PythonFixture.load(directory, 1, Map.of()))
        .hasMessageContaining("UnpicklingError")
        .extracting(e -> ((InferenceException) e).code())
        .isEqualTo(ErrorCode.FAILED_PRECONDITION);
  }

  @Test
  void tensors_reachThePredictorAsRows() {
    String script =
        """
        class Predictor:
            def predict(self, rows):
                return [[value * 2 for value in row] for row in rows]
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script);
        TensorMap outputs =
            fixture.predict(TensorMap.of("x", Tensor.copyOf(Shape.of(2, 2), 1f, 2f, 3f, 4.5f)))) {
      assertThat(outputs.name(0)).isEqualTo("predictions");
      assertThat(outputs.tensor(0).toString()).isEqualTo("FP64[2,2]");
      assertThat(outputs.tensor(0).toDoubles()).containsExactly(2, 4, 6, 9);
    }
  }

  @Test
  void severalTensors_reachThePredictorAsADictForEachRow() {
    String script =
        """
        class Predictor:
            def predict(self, rows):
                return ["%s is %d" % (row["name"], row["age"]) for row in rows]
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script);
        TensorMap outputs =
            fixture.predict(
                TensorMap.of(
                    "name", Tensor.copyOf(Shape.of(2), "Ann", "Bo"),
                    "age", Tensor.copyOf(Shape.of(2), 41L, 7L)))) {
      assertThat(outputs.tensor(0).toStrings()).containsExactly("Ann is 41", "Bo is 7");
    }
  }

  @Test
  void declaredOutputs_haveTheirDatatypes() {
    String script =
        """
        class Predictor:
            def predict(self, rows):
                return {"label": [int(row[0]) for row in rows], "score": [[row[0], 1] for row in rows]}
        """;
    Map<String, Object> settings =
        Map.of(
            "inputs", List.of(Map.of("name", "x", "datatype", "FP32", "shape", List.of(-1, 1))),
            "outputs",
                List.of(
                    Map.of("name", "score", "datatype", "FP32", "shape", List.of(-1, 2)),
                    Map.of("name", "label", "datatype", "INT32", "shape", List.of(-1))));
    try (PythonFixture fixture = PythonFixture.of(directory, script, 1, settings);
        TensorMap outputs =
            fixture.predict(TensorMap.of("x", Tensor.copyOf(Shape.of(2, 1), 3f, 4f)))) {
      assertThat(outputs.names()).containsExactly("score", "label");
      assertThat(outputs.tensor(0).toFloats()).containsExactly(3, 1, 4, 1);
      assertThat(outputs.tensor(1).toInts()).containsExactly(3, 4);
      assertThat(fixture.model.metadata().inputs()).hasSize(1);
    }
  }

  @Test
  void everyDatatype_comesAndGoes() {
    String script =
        """
        class Predictor:
            def predict(self, rows):
                return rows
        """;
    for (DataType type : DataType.values()) {
      Map<String, Object> output =
          Map.of("name", "y", "datatype", type.name(), "shape", List.of(-1));
      Tensor tensor =
          type == DataType.BYTES
              ? Tensor.copyOf(Shape.of(2), "a", "")
              : Tensor.copyOf(
                  type,
                  Shape.of(2),
                  java.nio.ByteBuffer.wrap(
                      one(type, (byte) (type == DataType.BOOL ? 1 : 60), 2 * type.byteSize())));
      try (PythonFixture fixture =
              PythonFixture.of(directory, script, 1, Map.of("outputs", List.of(output)));
          TensorMap inputs = TensorMap.of("x", tensor);
          TensorMap outputs = fixture.predictor.predict(inputs, List.of())) {
        assertThat(outputs.tensor(0).dataType()).isEqualTo(type);
        assertThat(outputs.tensor(0).data()).isEqualTo(inputs.tensor(0).data());
      }
    }
  }

  private static byte[] one(DataType type, byte value, int size) {
    byte[] bytes = new byte[size];
    for (int i = 0; i < size; i++) {
      bytes[i] = type == DataType.BOOL ? 1 : value;
    }
    return bytes;
  }

  @Test
  void requestedOutputs_areSelected() {
    String script = "class Predictor:\n  def predict(self, rows): return rows\n";
    try (PythonFixture fixture = PythonFixture.of(directory, script);
        TensorMap inputs = rows("1")) {
      try (TensorMap outputs = fixture.predictor.predict(inputs, List.of("predictions"))) {
        assertThat(outputs.size()).isEqualTo(1);
      }
      assertThatThrownBy(() -> fixture.predictor.predict(inputs, List.of("scores")))
          .hasMessage("the script gave no output 'scores'; it gave [predictions]");
    }
  }

  @Test
  void largeTensors_goThroughSharedMemory() {
    String script =
        """
        class Predictor:
            def predict(self, rows):
                return rows
        """;
    float[] values = new float[150_000];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    Map<String, Object> settings =
        Map.of(
            "outputs", List.of(Map.of("name", "y", "datatype", "FP32", "shape", List.of(-1, -1))));
    try (PythonFixture fixture = PythonFixture.of(directory, script, 1, settings)) {
      for (int rows : new int[] {1, 100, 3}) {
        try (TensorMap outputs =
            fixture.predict(
                TensorMap.of("x", Tensor.copyOf(Shape.of(rows, values.length / rows), values)))) {
          assertThat(outputs.tensor(0).toFloats()).isEqualTo(values);
        }
      }
    }
  }
}

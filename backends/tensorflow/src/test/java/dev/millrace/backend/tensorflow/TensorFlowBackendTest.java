package dev.millrace.backend.tensorflow;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.TensorModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.proto.TensorInfo;

class TensorFlowBackendTest {
  @TempDir Path directory;

  private final TensorFlowBackend backend = new TensorFlowBackend();

  @Test
  void serviceLoader_findsTheBackend() {
    assertThat(ServiceLoader.load(Backend.class)).hasOnlyElementsOfType(TensorFlowBackend.class);
  }

  @Test
  void findModel_takesTheDirectoryOfTheGraph() throws IOException {
    assertThat(backend.findModel(directory)).isEmpty();
    Path graph = Files.createFile(directory.resolve("saved_model.pb"));
    assertThat(backend.findModel(directory)).contains(directory);
    assertThat(backend.findModel(graph)).contains(directory);
    assertThat(backend.findModel(directory.resolve("other.pb"))).isEmpty();
  }

  @Test
  void findModel_takesVariablesBesideAGraphOfAnotherName() throws IOException {
    Files.createFile(directory.resolve("frozen.pb"));
    assertThat(backend.findModel(directory)).isEmpty();
    Files.createDirectory(directory.resolve("variables"));
    assertThat(backend.findModel(directory)).contains(directory);
    assertNotLoaded("there is no such file; TensorFlow knows frozen.pb by no other name");
  }

  @Test
  void filesThatAreNoModel_areNamed() throws IOException {
    assertNotLoaded("saved_model.pb: there is no such file");
    write(new byte[0]);
    assertNotLoaded("saved_model.pb: the file is empty");
    write("version https://git-lfs.github.com/spec/v1\noid sha256:12".getBytes(US_ASCII));
    assertNotLoaded("this is a Git LFS pointer; fetch the model with 'git lfs pull'");
    write("<html>404</html>".getBytes(US_ASCII));
    assertNotLoaded("saved_model.pb: this is not a SavedModel, or not a whole one");
    byte[] whole = SavedModels.simple().toByteArray();
    for (int length = 1; length < whole.length; length += 7) {
      write(Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> load(Map.of()))
          .isInstanceOfSatisfying(
              InferenceException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION));
    }
  }

  @Test
  void variablesThatAreMissing_areNamed() throws IOException {
    HalfPlusTwo.graph().write(directory);
    assertNotLoaded("the graph has variables, and the directory variables/ is missing");
    Path variables = Files.createDirectory(directory.resolve("variables"));
    assertNotLoaded("the graph has variables, and variables/variables.index is missing");
    Files.writeString(variables.resolve("variables.index"), "no table");
    assertNotLoaded(directory + ": ");
  }

  @Test
  void partOfTheVariablesMissing_isNamed() throws IOException {
    HalfPlusTwo.write(directory);
    Files.delete(directory.resolve("variables").resolve("variables.data-00000-of-00001"));
    assertNotLoaded("variables.data-00000-of-00001");
  }

  @Test
  void variableThatNothingRestores_isNamedWhenItIsRun() {
    SavedModels.memory(DataType.FP32).write(directory);
    try (TensorModel model = load(Map.of("signature", "get"));
        var predictor = model.newPredictor()) {
      assertThatThrownBy(() -> predictor.predict(TensorMap.empty(), List.of()).close())
          .isInstanceOfSatisfying(
              InferenceException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION))
          .hasMessageContaining("v");
    }
  }

  @Test
  void tags_chooseTheGraph() {
    SavedModels.simple().tags("serve", "gpu").write(directory);
    assertNotLoaded("no graph is tagged [serve]; there are [[serve, gpu]]");
    load(Map.of("tags", List.of("gpu", "serve"))).close();
  }

  @Test
  void signatureThatIsNotTheUsualOne_isTakenIfItIsAlone() {
    SavedModelWriter graph = identity().signature("mine", signature -> vector(signature, "y:0"));
    graph.write(directory);
    try (TensorModel model = load(Map.of())) {
      assertThat(model.metadata().properties()).containsEntry("signature", "mine");
    }
    graph.signature("other", signature -> vector(signature, "y:0")).write(directory);
    assertNotLoaded(
        "none of the signatures that can be served is called 'serving_default'; choose one in model.yaml, as in 'tensorflow: {signature: mine}', out of [mine, other]");
    load(Map.of("signature", "other")).close();
    assertThatThrownBy(() -> load(Map.of("signature", "others")))
        .hasMessage("model.yaml: signature: expected one of mine, other, got 'others'");
  }

  /** A graph of x and y, without a signature. */
  private static SavedModelWriter identity() {
    return new SavedModelWriter()
        .placeholder("x", DataType.FP32, Shape.of(-1))
        .node("y", "Identity", List.of("x"), Map.of("T", DataType.FP32));
  }

  /** From x to the output that the graph calls so. */
  private static void vector(SavedModelWriter.SignatureWriter signature, String output) {
    signature
        .input("X", "x:0", DataType.FP32, Shape.of(-1))
        .output("Y", output, DataType.FP32, Shape.of(-1));
  }

  @Test
  void modelWithoutSignature_isRefused() {
    identity()
        .signature("__saved_model_init_op", signature -> vector(signature, "y:0"))
        .write(directory);
    assertNotLoaded("the graph has no signature; export the model with one");
  }

  @Test
  void signatureThatCannotBeServed_isLeftOut() {
    TensorInfo sparse =
        TensorInfo.newBuilder()
            .setDtype(org.tensorflow.proto.DataType.DT_FLOAT)
            .setCooSparse(TensorInfo.CooSparse.newBuilder().setValuesTensorName("x:0"))
            .build();
    SavedModelWriter graph =
        identity()
            .signature("sparse", signature -> signature.input("X", sparse).output("Y", sparse));
    graph.write(directory);
    assertNotLoaded(
        "input 'X' of signature 'sparse' is not a tensor of a type that can be served: a sparse tensor");
    graph
        .signature("elsewhere", signature -> vector(signature, "nowhere:0"))
        .signature("same", signature -> vector(signature, "x:0"))
        .signature("beyond", signature -> vector(signature, "y:1"))
        .signature(
            "serving_default",
            signature -> {
              vector(signature, "y:0");
              signature.output("Z", sparse);
            })
        .write(directory);
    try (TensorModel model = load(Map.of())) {
      assertThat(model.signatures()).containsOnlyKeys("serving_default");
      assertThat(model.metadata().outputs()).hasSize(1);
    }
    assertThatThrownBy(() -> load(Map.of("signature", "same")))
        .hasMessageEndingWith(
            "signature 'same' returns its input 'x:0', which TensorFlow does not do");
    assertThatThrownBy(() -> load(Map.of("signature", "elsewhere")))
        .hasMessageEndingWith(
            "signature 'elsewhere' names the tensor 'nowhere:0', which the graph does not have");
  }

  @Test
  void unknownOperator_isNamed() {
    new SavedModelWriter()
        .node("x", "NoSuchOperator", List.of(), Map.of())
        .signature("serving_default", signature -> vector(signature, "y:0"))
        .write(directory);
    assertNotLoaded("the graph has the operator 'NoSuchOperator', which TensorFlow 2.");
  }

  @Test
  void unknownSetting_isRefused() {
    SavedModels.simple().write(directory);
    assertThatThrownBy(() -> load(Map.of("signatur", "x")))
        .isInstanceOf(InferenceException.class)
        .hasMessage("model.yaml: unknown key 'signatur'; did you mean 'signature'?");
  }

  @Test
  void engine_knowsTheProcessor() {
    assertThat(TfDevices.types()).contains("CPU");
    assertThat(backend.devices()).contains(Device.CPU);
  }

  private TensorModel load(Map<String, Object> settings) {
    return TensorFlowFixture.load(directory, settings);
  }

  private void write(byte[] graph) throws IOException {
    Files.write(directory.resolve("saved_model.pb"), graph);
  }

  /** It is one line with these words in it. */
  private void assertNotLoaded(String words) {
    assertThatThrownBy(() -> load(Map.of()))
        .isInstanceOfSatisfying(
            InferenceException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION))
        .hasMessageStartingWith(directory.toString())
        .hasMessageContaining(words)
        .message()
        .doesNotContain("\n");
  }
}

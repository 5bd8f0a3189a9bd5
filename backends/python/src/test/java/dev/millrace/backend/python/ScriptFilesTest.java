package dev.millrace.backend.python;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ScriptFilesTest {
  private final ScriptFiles files = new ScriptFiles(Map.of());

  @TempDir Path directory;

  private Path write(String name) throws IOException {
    Path file = directory.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, "");
  }

  @Test
  void predictors_areFoundByTheirNames() throws IOException {
    assertThat(files.predictor(directory)).isEmpty();
    Path pickle = write("model.pkl");
    assertThat(files.predictor(directory)).contains(pickle);
    Path older = write("predict.py");
    assertThat(files.predictor(directory)).contains(older);
    Path prefixed = write("predictor-mine.ipynb");
    write("transformer-mine.py");
    write("helper.py");
    assertThat(files.predictor(directory)).contains(prefixed);
    write("predictor-other.py");
    assertThatThrownBy(() -> files.predictor(directory))
        .hasMessageContaining("has several scripts and none is called predictor.py");
    Path usual = write("predictor.py");
    assertThat(files.predictor(directory)).contains(usual);
    assertThat(files.predictor(write("anything.py"))).contains(directory.resolve("anything.py"));
    assertThat(files.predictor(write("model.onnx"))).isEmpty();
  }

  @Test
  void aScriptOfAnyName_isFoundBesideAConfiguration() throws IOException {
    Path script = write("my_model.py");
    write("transformer.py");
    assertThat(files.predictor(directory)).isEmpty();
    write("model.yaml");
    assertThat(files.predictor(directory)).contains(script);
    write("other.py");
    assertThat(files.predictor(directory)).contains(directory);
    write("1/predictor.py");
    assertThat(files.predictor(directory)).isEmpty();
  }

  @Test
  void inHopsworksRegistry_theNewestScriptsStandBesideTheFiles() throws IOException {
    write("fraud/3/Files/weights.bin");
    write("fraud/3/Artifacts/2/predictor-old.py");
    Path predictor = write("fraud/3/Artifacts/10/predictor-new.py");
    Path transformer = write("fraud/3/Artifacts/10/transformer-new.py");
    Path files = directory.resolve("fraud/3/Files");
    ScriptFiles registry = new ScriptFiles(Map.of());
    assertThat(registry.predictor(files)).contains(predictor);
    assertThat(registry.transformer(files)).contains(transformer);
    assertThat(ScriptFiles.filesOf(predictor)).contains(files);
    assertThat(ScriptFiles.filesOf(directory.resolve("predictor.py"))).isEmpty();
    assertThat(registry.predictor(directory.resolve("fraud/3"))).isEmpty();
  }

  @Test
  void onHopsworks_scriptsStandBesideTheArtifacts() throws IOException {
    write("models/model.json");
    Path predictor = write("artifacts/predictor-mine.py");
    Path transformer = write("artifacts/transformer-mine.py");
    Path models = directory.resolve("models");
    ScriptFiles deployed =
        new ScriptFiles(
            Map.of(
                "MODEL_FILES_PATH",
                models.toString(),
                "ARTIFACT_FILES_PATH",
                directory.resolve("artifacts").toString()));
    assertThat(deployed.predictor(models)).contains(predictor);
    assertThat(deployed.transformer(models)).contains(transformer);
    assertThat(deployed.predictor(directory)).isEmpty();
    ScriptFiles named =
        new ScriptFiles(
            Map.of("MODEL_FILES_PATH", models.toString(), "SCRIPT_PATH", predictor.toString()));
    assertThat(named.predictor(models)).contains(predictor);
    assertThat(named.transformer(models)).isEmpty();
  }

  @Test
  void aScript_speaksForThisEngineAndAPickleDoesNot() throws IOException {
    PythonBackend backend = new PythonBackend(files);
    assertThat(backend.precedence(write("predictor.py"))).isPositive();
    assertThat(backend.precedence(write("model.pkl"))).isNegative();
  }
}

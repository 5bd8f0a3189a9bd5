package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.runtime.FoundModel.FoundVersion;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModelRepositoryTest {
  @TempDir private Path root;
  private final FakeBackend fake = new FakeBackend();
  private final FakeBackend other = new FakeBackend("other");

  private ModelRepository repository(ModelPath... places) {
    return new ModelRepository(List.of(places), List.of(fake, other));
  }

  private List<FoundModel> findAll(Path path) {
    return repository(ModelPath.of(path)).findAll(ModelOptions.none());
  }

  private FoundModel.Loadable single(Path path) {
    List<FoundModel> models = findAll(path);
    assertThat(models).hasSize(1);
    return loadable(models.getFirst());
  }

  /** What is to be loaded of the only model there. */
  private List<LoadPlan> plan(Path path) {
    FoundModel.Loadable model = single(path);
    return model.versions().stream().map(version -> repository().plan(model, version)).toList();
  }

  private static FoundModel.Loadable loadable(FoundModel model) {
    return switch (model) {
      case FoundModel.Loadable loadable -> loadable;
      case FoundModel.Broken broken -> throw broken.reason();
    };
  }

  private static List<String> versions(FoundModel.Loadable model) {
    return model.versions().stream().map(FoundVersion::version).toList();
  }

  @Test
  void file_isNamedAfterItsStem() throws IOException {
    Trees.models(root, "half.fake");
    FoundModel.Loadable model = single(root.resolve("half.fake"));
    assertThat(model.name()).isEqualTo("half");
    assertThat(versions(model)).containsExactly("1");
    LoadPlan plan = repository().plan(model, model.versions().getFirst());
    assertThat(plan.path()).isEqualTo(root.resolve("half.fake"));
    assertThat(plan.backend()).isSameAs(fake);
  }

  @Test
  void fileCalledModel_isNamedAfterItsDirectory_andHasTheYamlBesideIt() throws IOException {
    Trees.models(root, "half/model.fake");
    Trees.write(root, "half/model.yaml", "max-batch-size: 3");
    FoundModel.Loadable model = single(root.resolve("half/model.fake"));
    assertThat(model.name()).isEqualTo("half");
    assertThat(model.config().options().maxBatchSize()).hasValue(3);
  }

  @Test
  void fileCalledModel_inADirectoryWithANumber_isThatVersion() throws IOException {
    Trees.models(root, "half/3/model.fake");
    FoundModel.Loadable model = single(root.resolve("half/3/model.fake"));
    assertThat(model.name()).isEqualTo("half");
    assertThat(versions(model)).containsExactly("3");
  }

  @Test
  void directoryOfFiles_isOneModelOfVersionOne() throws IOException {
    Trees.models(root, "half/x.fake");
    FoundModel.Loadable model = single(root.resolve("half"));
    assertThat(model.name()).isEqualTo("half");
    assertThat(versions(model)).containsExactly("1");
  }

  @Test
  void explicitName_winsOverYamlAndDirectory() throws IOException {
    Trees.models(root, "half/x.fake");
    Trees.write(root, "half/model.yaml", "name: third");
    assertThat(single(root.resolve("half")).name()).isEqualTo("third");
    FoundModel named =
        repository(ModelPath.of(root.resolve("half"), "mine"))
            .findAll(ModelOptions.none())
            .getFirst();
    assertThat(named.name()).isEqualTo("mine");
  }

  @Test
  void versionDirectories_areOneModel_ofWhichTheHighestNumberIsServed() throws IOException {
    Trees.models(root, "m/9/a.fake", "m/10/a.fake", "m/002/a.fake", "m/2/b.fake");
    assertThat(versions(single(root.resolve("m")))).containsExactly("10");
    Trees.write(root, "m/model.yaml", "version-policy: all");
    assertThat(versions(single(root.resolve("m")))).containsExactly("2", "9", "10");
    Trees.write(root, "m/model.yaml", "version-policy: {latest: 2}");
    assertThat(versions(single(root.resolve("m")))).containsExactly("9", "10");
    Trees.write(root, "m/model.yaml", "version-policy: [9, 2]");
    FoundModel.Loadable model = single(root.resolve("m"));
    assertThat(versions(model)).containsExactly("2", "9");
    LoadPlan plan = repository().plan(model, model.versions().getFirst());
    assertThat(plan.path()).isEqualTo(root.resolve("m/2/b.fake"));
  }

  @Test
  void versionPolicy_forVersionsThatAreNotThere_saysWhatIs() throws IOException {
    Trees.models(root, "m/1/a.fake");
    Trees.write(root, "m/model.yaml", "version-policy: [1, 7]");
    assertThatThrownBy(() -> single(root.resolve("m")))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("version-policy asks for [1, 7], found are [1]");
  }

  @Test
  void repository_hasBothKindsOfModel_andSkipsWhatIsNone() throws IOException {
    Trees.models(root, "b/1/a.fake", "a/a.fake", ".hidden/a.fake", "lost+found/a.fake");
    Files.createDirectories(root.resolve("empty"));
    Trees.write(root, "docs/readme.txt", "");
    assertThat(findAll(root)).extracting(FoundModel::name).containsExactly("a", "b");
  }

  @Test
  void repository_keepsModelsThatAreBroken_besideTheOthers() throws IOException {
    Trees.models(root, "good/a.fake", "two/a.fake", "two/b.fake");
    Trees.write(root, "bad/model.yaml", "max-batch-sise: 4");
    Trees.write(root, "bad/a.fake", "1");
    Trees.write(root, "none/model.yaml", "");
    List<FoundModel> models = findAll(root);
    assertThat(models).extracting(FoundModel::name).containsExactly("bad", "good", "none", "two");
    assertThatThrownBy(() -> loadable(models.get(0)))
        .hasMessage(
            root.resolve("bad/model.yaml")
                + ": unknown key 'max-batch-sise'; did you mean 'max-batch-size'?");
    assertThatThrownBy(() -> loadable(models.get(2))).hasMessageContaining("holds no model");
    assertThatThrownBy(() -> loadable(models.get(3))).hasMessageContaining("several models");
  }

  @Test
  void symbolicLinks_areFollowed_asAModelcarNeeds() throws IOException {
    Trees.models(root, "real/1/a.fake");
    Path link = Files.createSymbolicLink(root.resolve("models"), root.resolve("real"));
    FoundModel.Loadable model = single(link);
    assertThat(model.name()).isEqualTo("models");
    assertThat(versions(model)).containsExactly("1");
  }

  @Test
  void nothingRecognised_saysWhatWasLookedFor() throws IOException {
    Trees.write(root, "m/weights.bin", "");
    assertThatThrownBy(() -> findAll(root.resolve("m")))
        .isInstanceOf(InferenceException.class)
        .hasMessage(
            root.resolve("m")
                + " holds no model: looked for *.fake (fake), *.other (other) in it, in its version"
                + " directories and in its sub-directories; found weights.bin; weights.bin is"
                + " weights without a model: export it to ONNX, or load it in a predictor.py");
    assertThatThrownBy(() -> findAll(root.resolve("gone"))).hasMessageContaining("does not exist");
  }

  @Test
  void fileThatNoBackendKnows_failsWhenItIsPlanned() throws IOException {
    Path file = Trees.write(root, "weights.bin", "");
    FoundModel.Loadable model = single(file);
    assertThatThrownBy(() -> repository().plan(model, model.versions().getFirst()))
        .hasMessageStartingWith(
            file + " holds no model: looked for *.fake (fake), *.other (other); found weights.bin");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "model.keras               | model.keras is a Keras model",
        "model.h5                  | model.h5 is a Keras model or its weights",
        "model.safetensors         | model.safetensors is weights without a model",
        "1/model.plan              | model.plan is a TensorRT plan",
        "model.pt                  | model.pt is for the backend 'pytorch', which is not installed",
        "1/variables/variables.index | variables is a part of a SavedModel, whose saved_model.pb is missing",
        "saved_model.pb            | saved_model.pb is for the backend 'tensorflow', which is not installed",
        "graph.pb                  | graph.pb is not called saved_model.pb, or has no variables/ beside it",
        "1/model.py                | model.py may be a script for Triton",
        "serve.py                  | serve.py is a script, and those are recognised by the name predictor*.py",
        "m.tar.gz                  | m.tar.gz is an archive: unpack it",
        "a/b/a.fake                | a/b is the directory of a model: serve it, or the one that it is in",
        "a/b/c/1/a.fake            | a/b/c is the directory of a model",
        "a.txt                     | found a.txt",
      })
  void nothingRecognised_saysWhatIsThere_andWhatToDo(String file, String hint) throws IOException {
    Trees.write(root, "m/" + file, "");
    assertThatThrownBy(() -> plan(root.resolve("m"))).hasMessageContaining(hint);
  }

  @Test
  void filesOfDeeperModels_needNoHintsOfTheirOwn() throws IOException {
    Trees.models(root, "m/a/b/a.fake", "m/a/b/train.py");
    assertThatThrownBy(() -> plan(root.resolve("m")))
        .hasMessageEndingWith(
            "; a/b is the directory of a model: serve it, or the one that it is in");
  }

  @Test
  void emptyDirectories_areCalledThat() throws IOException {
    Files.createDirectories(root.resolve("m/1"));
    Files.createDirectories(root.resolve("n/x"));
    assertThatThrownBy(() -> plan(root.resolve("n")))
        .hasMessageEndingWith("found directories without files");
    assertThatThrownBy(() -> plan(root.resolve("m"))).hasMessageEndingWith("found nothing");
  }

  @Test
  void registryOfHopsworks_isRecognised_asAWholeAndInParts() throws IOException {
    Trees.models(root, "Models/fraud/1/a.fake", "Models/fraud/3/Files/a.fake");
    Trees.write(root, "Models/fraud/3/model_schema.json", "{}");
    Trees.write(root, "Models/fraud/3/Artifacts/1/config.yml", "");
    Trees.models(root, "Models/churn/12/Files/b.fake");
    assertThat(findAll(root.resolve("Models")))
        .extracting(FoundModel::name)
        .containsExactly("churn", "fraud");
    FoundModel.Loadable fraud = single(root.resolve("Models/fraud"));
    assertThat(versions(fraud)).containsExactly("3");
    assertThat(repository().plan(fraud, fraud.versions().getFirst()).path())
        .isEqualTo(root.resolve("Models/fraud/3/Files/a.fake"));
    for (String place : List.of("Models/churn/12", "Models/churn/12/Files")) {
      FoundModel.Loadable churn = single(root.resolve(place));
      assertThat(churn.name()).isEqualTo("churn");
      assertThat(versions(churn)).containsExactly("12");
    }
  }

  @Test
  void backend_namedInTheConfiguration_isTheOnlyOneAsked() throws IOException {
    Trees.models(root, "m/a.fake", "m/a.other");
    FoundModel.Loadable first = single(root.resolve("m"));
    assertThat(repository().plan(first, first.versions().getFirst()).backend()).isSameAs(fake);
    Trees.write(root, "m/model.yaml", "backend: other");
    FoundModel.Loadable second = single(root.resolve("m"));
    assertThat(repository().plan(second, second.versions().getFirst()).backend()).isSameAs(other);
    Trees.write(root, "m/model.yaml", "backend: onyx");
    assertThatThrownBy(() -> single(root.resolve("m")))
        .hasMessageContaining("there is no backend 'onyx'; installed are fake, other");
  }

  @Test
  void twoModelsOfOneName_areRefused() throws IOException {
    Trees.models(root, "x/m/a.fake", "y/m/a.fake");
    ModelRepository repository =
        repository(ModelPath.of(root.resolve("x")), ModelPath.of(root.resolve("y")));
    assertThatThrownBy(() -> repository.findAll(ModelOptions.none()))
        .hasMessageContaining("two models are called 'm'");
    assertThatThrownBy(
            () -> repository(ModelPath.of(root.resolve("x"), "all")).findAll(ModelOptions.none()))
        .hasMessageContaining("is a repository of 1 models");
  }

  @Test
  void options_ofTheServerWinOverThoseOfTheVersionAndTheModel() throws IOException {
    Trees.models(root, "m/1/a.fake");
    Trees.write(
        root,
        "m/model.yaml",
        """
        max-batch-size: 1
        instances: 1
        threads: 1
        properties: {team: blue, cost: 3}
        fake: {level: low}
        """);
    Trees.write(root, "m/1/model.yaml", "instances: 2\nthreads: 2\nfake: {level: high}");
    ModelOptions server =
        ModelOptions.read(Settings.of("flags", Map.<String, Object>of("threads", 3)));
    FoundModel.Loadable model =
        loadable(repository(ModelPath.of(root.resolve("m"))).findAll(server).getFirst());
    LoadPlan plan = repository().plan(model, model.versions().getFirst());
    assertThat(plan.options().maxBatchSize()).hasValue(1);
    assertThat(plan.options().instances()).hasValue(2);
    assertThat(plan.options().threads()).hasValue(3);
    assertThat(plan.properties()).containsEntry("team", "blue").containsEntry("cost", "3");
    assertThat(plan.engine().string("level")).hasValue("high");
  }

  @Test
  void versionsYaml_cannotNameTheModel() throws IOException {
    Trees.models(root, "m/1/a.fake");
    Path yaml = Trees.write(root, "m/1/model.yaml", "name: x");
    FoundModel.Loadable model = single(root.resolve("m"));
    assertThatThrownBy(() -> repository().plan(model, model.versions().getFirst()))
        .hasMessageStartingWith(yaml + ": name, version-policy and version-labels belong in");
  }

  @Test
  void sectionOfAnotherBackend_isRefused() throws IOException {
    Trees.models(root, "m/a.fake");
    Trees.write(root, "m/model.yaml", "other: {level: high}");
    FoundModel.Loadable model = single(root.resolve("m"));
    assertThatThrownBy(() -> repository().plan(model, model.versions().getFirst()))
        .hasMessageContaining("section 'other' is for another backend than 'fake'");
  }

  @Test
  void engineSettings_nameFileAndKeyWhenTheyAreWrong() throws IOException {
    Trees.models(root, "m/a.fake");
    Path yaml = Trees.write(root, "m/model.yaml", "fake: {lewel: high}");
    FoundModel.Loadable model = single(root.resolve("m"));
    LoadPlan plan = repository().plan(model, model.versions().getFirst());
    assertThatThrownBy(
            () -> {
              plan.engine().string("level");
              Settings engine = plan.engine();
              engine.string("level");
              engine.rejectUnknown();
            })
        .hasMessage(yaml + ": unknown key 'fake.lewel'; did you mean 'level'?");
  }

  @Test
  void find_seesModelsThatCameLater() throws IOException {
    Trees.models(root, "a/a.fake");
    ModelRepository repository = repository(ModelPath.of(root));
    assertThat(repository.find("b", ModelOptions.none())).isEmpty();
    Trees.models(root, "b/b.fake");
    assertThat(repository.find("b", ModelOptions.none())).isPresent();
  }
}

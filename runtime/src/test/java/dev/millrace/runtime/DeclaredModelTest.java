package dev.millrace.runtime;

import static dev.millrace.runtime.Requests.failure;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Models with a {@code config.pbtxt}, loaded and called. */
@ExtendWith(TensorLeakExtension.class)
class DeclaredModelTest {
  private static final String X_AND_Y =
      """
      backend: "fake"
      max_batch_size: 4
      input { name: "X" data_type: TYPE_FP32 dims: [ 2 ] }
      output { name: "Y" data_type: TYPE_FP32 dims: [ 2 ] }
      """;

  @TempDir private Path root;
  private final FakeBackend fake = new FakeBackend();
  private @Nullable ModelServer server;

  private ModelServer load(String config) throws IOException {
    Trees.write(root, "m/1/a.fake", "3");
    Trees.write(root, "m/config.pbtxt", config);
    ModelServer started =
        ModelServer.create(
            RuntimeConfig.of(root.resolve("m")), List.of(fake), new SimpleMeterRegistry());
    server = started;
    started.models().loadAll(LoadListener.NONE);
    return started;
  }

  private String reason(String config) throws IOException {
    return load(config).models().statuses("m").getFirst().reason();
  }

  @AfterEach
  void close() {
    if (server != null) {
      server.close();
    }
    assertThat(fake.openModels).hasValue(0);
    assertThat(fake.openPredictors).hasValue(0);
  }

  @Test
  void declaredOutputs_areTheOnesServed() throws IOException {
    ModelServer loaded = load(X_AND_Y);
    ModelDescription model = loaded.models().describe(ModelId.latest("m"));
    assertThat(model.metadata().maxBatchSize()).isEqualTo(4);
    assertThat(model.metadata().outputs()).extracting(TensorSpec::name).containsExactly("Y");
    assertThat(model.declared()).isPresent();
    try (InferenceResponse response = loaded.infer(Requests.of("m", 1, 2)).join()) {
      assertThat(response.outputs().names()).containsExactly("Y");
      assertThat(requireNonNull(response.outputs().get("Y")).toFloats()).containsExactly(3, 6);
    }
  }

  @Test
  void reshape_standsBetweenClientAndModel() throws IOException {
    ModelServer loaded =
        load(
            """
            max_batch_size: 4
            input { name: "X" data_type: TYPE_FP32 dims: [ 2, 1 ] reshape { shape: [ 2 ] } }
            output { name: "Y" data_type: TYPE_FP32 dims: [ 1, 2, 1 ] reshape { shape: [ 2 ] } }
            """);
    assertThat(loaded.models().describe(ModelId.latest("m")).metadata().inputs())
        .containsExactly(new TensorSpec("X", DataType.FP32, Shape.of(-1, 2, 1)));
    InferenceRequest request =
        InferenceRequest.of("m", TensorMap.of("X", Tensor.copyOf(Shape.of(2, 2, 1), 1f, 2, 3, 4)));
    try (InferenceResponse response =
        loaded.infer(request).orTimeout(10, TimeUnit.SECONDS).join()) {
      Tensor y = requireNonNull(response.outputs().get("Y"));
      assertThat(y.shape()).isEqualTo(Shape.of(2, 1, 2, 1));
      assertThat(y.toFloats()).containsExactly(3, 6, 9, 12);
    }
    assertThat(failure(loaded.infer(Requests.of("m", 1, 2)))).hasMessageContaining("[-1,2,1]");
  }

  @Test
  void declarationThatContradictsTheModel_failsTheLoad_andBothAreTold() throws IOException {
    String place = root.resolve("m/config.pbtxt").toString();
    assertThat(reason(X_AND_Y.replaceFirst("TYPE_FP32", "TYPE_INT32")))
        .isEqualTo(place + ":3 declares the input 'X' as INT32[-1,2], the model has FP32[-1,2]");
  }

  @Test
  void declarationOfAnotherShape_orOfATensorThatIsNotThere_failsTheLoad() throws IOException {
    String place = root.resolve("m/config.pbtxt").toString();
    assertThat(reason(X_AND_Y.replaceFirst("dims: \\[ 2 ]", "dims: [ -1 ]")))
        .isEqualTo(place + ":3 declares the input 'X' as FP32[-1,-1], the model has FP32[-1,2]");
    requireNonNull(server).close();
    assertThat(reason(X_AND_Y.replace("\"Y\"", "\"W\"")))
        .isEqualTo(place + ":4 declares the output 'W', the model has ['Y', 'Z']");
    requireNonNull(server).close();
    assertThat(reason(X_AND_Y.replace("max_batch_size: 4", "")))
        .isEqualTo(place + ":3 declares the input 'X' as FP32[2], the model has FP32[-1,2]");
  }

  @Test
  void modelYaml_winsKeyByKey() throws IOException {
    Trees.write(root, "m/model.yaml", "max-batch-size: 2\nproperties: {team: red}");
    ModelServer loaded =
        load(
            X_AND_Y
                + """
                name: "other"
                parameters { key: "team" value { string_value: "blue" } }
                parameters { key: "cost" value { string_value: "3" } }
                """);
    ModelDescription model = loaded.models().describe(ModelId.latest("other"));
    assertThat(model.metadata().maxBatchSize()).isEqualTo(2);
    assertThat(model.metadata().properties())
        .containsEntry("team", "red")
        .containsEntry("cost", "3");
  }

  @Test
  void warmUp_runsWhatIsAskedFor_onEveryInstance() throws IOException {
    Files.createDirectories(root.resolve("m/warmup"));
    Files.write(root.resolve("m/warmup/row"), new byte[8]);
    load(
        X_AND_Y
            + """
            model_warmup {
              name: "three"
              batch_size: 3
              count: 2
              inputs { key: "X" value { data_type: TYPE_FP32 dims: 2 random_data: true } }
            }
            model_warmup {
              name: "file"
              inputs { key: "X" value { data_type: TYPE_FP32 dims: 2 input_data_file: "row" } }
            }
            """);
    assertThat(fake.runs).startsWith("{X=FP32[3,2]}", "{X=FP32[3,2]}");
    assertThat(fake.runs).contains("{X=FP32[1,2]}");
  }

  @Test
  void warmUp_thatFails_failsTheLoad() throws IOException {
    assertThat(
            reason(
                X_AND_Y
                    + """
                    model_warmup {
                      name: "wrong"
                      inputs { key: "X" value { data_type: TYPE_FP32 dims: 3 zero_data: true } }
                    }
                    """))
        .startsWith(root.resolve("m/config.pbtxt") + ":5: model_warmup 'wrong' failed: ")
        .contains("unexpected shape for input 'X'");
  }

  @Test
  void filename_choosesAmongSeveral() throws IOException {
    Trees.write(root, "m/1/b.fake", "5");
    ModelServer loaded = load(X_AND_Y + "default_model_filename: \"b.fake\"");
    assertThat(Requests.y(loaded.infer(Requests.of("m", 1, 2)))).containsExactly(5, 10);
    loaded.close();
    assertThat(reason(X_AND_Y + "default_model_filename: \"c.fake\""))
        .contains("default_model_filename is 'c.fake', which is not in");
  }

  @Test
  void labels_areReadFromTheDirectoryOfTheModel() throws IOException {
    Trees.write(root, "m/names.txt", "cat\ndog");
    ModelServer loaded =
        load(X_AND_Y.replaceFirst("dims: \\[ 2 ] }$", "dims: [ 2 ] label_filename: 'names.txt' }"));
    assertThat(loaded.models().describe(ModelId.latest("m")).labels())
        .isEqualTo(Map.of("Y", new LabelFile("names.txt", List.of("cat", "dog"))));
  }
}

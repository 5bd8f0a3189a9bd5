package dev.millrace.server.v1;

import static dev.millrace.server.v1.TfServingFixture.assertFails;
import static dev.millrace.server.v1.TfServingFixture.floats;
import static dev.millrace.server.v1.TfServingFixture.labelled;
import static dev.millrace.server.v1.TfServingFixture.spec;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Any;
import dev.millrace.proto.tfserving.FileSystemStoragePathSourceConfig.ServableVersionPolicy;
import dev.millrace.proto.tfserving.GetModelStatusRequest;
import dev.millrace.proto.tfserving.GetModelStatusResponse;
import dev.millrace.proto.tfserving.ModelConfig;
import dev.millrace.proto.tfserving.ModelConfigList;
import dev.millrace.proto.tfserving.ModelServerConfig;
import dev.millrace.proto.tfserving.ModelSpec;
import dev.millrace.proto.tfserving.ModelVersionStatus;
import dev.millrace.proto.tfserving.PredictRequest;
import dev.millrace.proto.tfserving.ReloadConfigRequest;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.Status;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class ModelServiceTest {
  private TfServingFixture server;

  @BeforeEach
  void start(@TempDir Path directory) throws Exception {
    FunctionBackend.version(directory, "half_plus_two", 1);
    FunctionBackend.version(directory, "half_plus_two", 2);
    FunctionBackend.version(directory, "pair", 1);
    server = new TfServingFixture(directory);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private GetModelStatusResponse status(ModelSpec spec) {
    return server
        .models()
        .getModelStatus(GetModelStatusRequest.newBuilder().setModelSpec(spec).build());
  }

  private static ReloadConfigRequest reload(ModelConfig.Builder... configs) {
    ModelConfigList.Builder list = ModelConfigList.newBuilder();
    for (ModelConfig.Builder config : configs) {
      list.addConfig(config);
    }
    return ReloadConfigRequest.newBuilder()
        .setConfig(ModelServerConfig.newBuilder().setModelConfigList(list))
        .build();
  }

  private static ModelConfig.Builder config(String name) {
    return ModelConfig.newBuilder().setName(name).setBasePath("/models/" + name);
  }

  @Test
  void status_tellsTheStates() {
    ModelVersionStatus available =
        ModelVersionStatus.newBuilder()
            .setVersion(2)
            .setState(ModelVersionStatus.State.AVAILABLE)
            .setStatus(dev.millrace.proto.tfserving.StatusProto.getDefaultInstance())
            .build();
    assertThat(status(spec("half_plus_two")).getModelVersionStatusList())
        .containsExactly(available);
    assertThat(status(spec("half_plus_two", 2)).getModelVersionStatusList())
        .containsExactly(available);
    assertFails(
        () -> status(spec("x")), Status.Code.NOT_FOUND, "Could not find any versions of model x");
    assertFails(
        () -> status(spec("half_plus_two", 1)),
        Status.Code.NOT_FOUND,
        "Could not find version 1 of model half_plus_two");
    assertFails(
        () -> server.models().getModelStatus(GetModelStatusRequest.getDefaultInstance()),
        Status.Code.INVALID_ARGUMENT,
        "Missing ModelSpec");
  }

  @Test
  void reload_servesTheListedModels_andNoOthers() {
    var response =
        server
            .models()
            .handleReloadConfigRequest(
                reload(
                    config("half_plus_two")
                        .setModelVersionPolicy(
                            ServableVersionPolicy.newBuilder()
                                .setSpecific(
                                    ServableVersionPolicy.Specific.newBuilder()
                                        .addVersions(1)
                                        .addVersions(2)))
                        .putVersionLabels("stable", 1)));
    assertThat(response.getStatus().getErrorCodeValue()).isZero();
    assertThat(status(spec("half_plus_two")).getModelVersionStatusList())
        .extracting(ModelVersionStatus::getState)
        .containsExactly(ModelVersionStatus.State.AVAILABLE, ModelVersionStatus.State.AVAILABLE);
    assertThat(status(spec("pair")).getModelVersionStatusList())
        .extracting(ModelVersionStatus::getState)
        .containsExactly(ModelVersionStatus.State.END);
    PredictRequest request =
        PredictRequest.newBuilder()
            .setModelSpec(labelled("half_plus_two", "stable"))
            .putInputs("x", floats(2))
            .build();
    assertThat(server.predictions().predict(request).getModelSpec().getVersion().getValue())
        .isEqualTo(1);

    server.models().handleReloadConfigRequest(reload(config("pair")));
    assertThat(status(spec("pair")).getModelVersionStatusList())
        .extracting(ModelVersionStatus::getState)
        .containsExactly(ModelVersionStatus.State.AVAILABLE);
    assertFails(
        () -> server.predictions().predict(request),
        Status.Code.INVALID_ARGUMENT,
        "Unrecognized servable version label: stable");
  }

  @Test
  void reload_thatFails_unloadsNothing() {
    List<Object[]> cases =
        List.of(
            new Object[] {
              reload(config("pair"), config("pair")),
              "Illegal to list model pair multiple times in config list"
            },
            new Object[] {reload(ModelConfig.newBuilder()), "a model in the config has no name"},
            new Object[] {
              reload(config("pair").setBasePath("/etc/passwd")),
              "base_path of model pair has to end with its name: models are loaded from the places that the server was started with"
            },
            new Object[] {
              reload(config("pair").setBasePath("\0")),
              "base_path of model pair has to end with its name: models are loaded from the places that the server was started with"
            },
            new Object[] {
              ReloadConfigRequest.getDefaultInstance(),
              "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
            },
            new Object[] {
              ReloadConfigRequest.newBuilder()
                  .setConfig(
                      ModelServerConfig.newBuilder().setCustomModelConfig(Any.getDefaultInstance()))
                  .build(),
              "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
            });
    for (Object[] each : cases) {
      assertFails(
          () -> server.models().handleReloadConfigRequest((ReloadConfigRequest) each[0]),
          Status.Code.INVALID_ARGUMENT,
          (String) each[1]);
    }
    assertFails(
        () -> server.models().handleReloadConfigRequest(reload(config("pair"), config("x"))),
        Status.Code.NOT_FOUND,
        "failed to load 'x', failed to poll from model repository");
    for (String model : new String[] {"pair", "half_plus_two"}) {
      assertThat(status(spec(model)).getModelVersionStatusList())
          .extracting(ModelVersionStatus::getState)
          .containsExactly(ModelVersionStatus.State.AVAILABLE);
    }
  }

  @Test
  void health_knowsTheServices() {
    for (String service :
        new String[] {
          "", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
        }) {
      assertThat(
              HealthGrpc.newBlockingStub(server.channel)
                  .check(HealthCheckRequest.newBuilder().setService(service).build())
                  .getStatus())
          .isEqualTo(ServingStatus.SERVING);
    }
  }
}

package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.proto.tensorflow.Code;
import dev.millrace.proto.tfserving.GetModelStatusRequest;
import dev.millrace.proto.tfserving.GetModelStatusResponse;
import dev.millrace.proto.tfserving.ModelServiceGrpc.ModelServiceImplBase;
import dev.millrace.proto.tfserving.ModelVersionStatus;
import dev.millrace.proto.tfserving.ReloadConfigRequest;
import dev.millrace.proto.tfserving.ReloadConfigResponse;
import dev.millrace.proto.tfserving.StatusProto;
import dev.millrace.runtime.ModelRegistry;
import dev.millrace.runtime.ModelStatus;
import dev.millrace.server.grpc.GrpcAnswers;
import io.grpc.stub.StreamObserver;

/**
 * {@code tensorflow.serving.ModelService}. Called on event loops: nothing here blocks, and models
 * are loaded on threads of the registry.
 */
public final class ModelService extends ModelServiceImplBase {
  private final ModelRegistry registry;
  private final ServedModels models;

  /** A service over that registry. */
  public ModelService(ModelRegistry registry) {
    this.registry = registry;
    this.models = new ServedModels(registry);
  }

  @Override
  public void getModelStatus(
      GetModelStatusRequest request, StreamObserver<GetModelStatusResponse> call) {
    GrpcAnswers.answer(
        call,
        () -> {
          ModelId model = ModelSpecs.id(request.hasModelSpec(), request.getModelSpec(), models);
          GetModelStatusResponse.Builder response = GetModelStatusResponse.newBuilder();
          for (ModelStatus status : models.statuses(model)) {
            if (ModelSpecs.isLong(status.version())) {
              response.addModelVersionStatus(write(status));
            }
          }
          return response.build();
        });
  }

  private static ModelVersionStatus write(ModelStatus status) {
    StatusProto.Builder cause = StatusProto.newBuilder();
    if (status.isFailed()) {
      cause.setErrorCode(Code.UNKNOWN).setErrorMessage(status.reason());
    }
    return ModelVersionStatus.newBuilder()
        .setVersion(Long.parseLong(status.version()))
        .setState(state(VersionState.of(status.state())))
        .setStatus(cause)
        .build();
  }

  private static ModelVersionStatus.State state(VersionState state) {
    return switch (state) {
      case START -> ModelVersionStatus.State.START;
      case LOADING -> ModelVersionStatus.State.LOADING;
      case AVAILABLE -> ModelVersionStatus.State.AVAILABLE;
      case UNLOADING -> ModelVersionStatus.State.UNLOADING;
      case END -> ModelVersionStatus.State.END;
    };
  }

  @Override
  public void handleReloadConfigRequest(
      ReloadConfigRequest request, StreamObserver<ReloadConfigResponse> call) {
    GrpcAnswers.answerLater(
        call,
        () -> {
          if (!request.getConfig().hasModelConfigList()) {
            throw InferenceException.invalidArgument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported");
          }
          ReloadConfigResponse done =
              ReloadConfigResponse.newBuilder().setStatus(StatusProto.newBuilder()).build();
          return ModelConfigs.read(request.getConfig().getModelConfigList())
              .applyTo(registry)
              .thenApply(nothing -> done);
        });
  }
}

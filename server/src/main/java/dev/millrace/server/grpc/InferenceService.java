package dev.millrace.server.grpc;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.Ticker;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceImplBase;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.proto.inference.ModelMetadataRequest;
import dev.millrace.proto.inference.ModelMetadataResponse;
import dev.millrace.proto.inference.ModelMetadataResponse.TensorMetadata;
import dev.millrace.proto.inference.ModelReadyRequest;
import dev.millrace.proto.inference.ModelReadyResponse;
import dev.millrace.proto.inference.RepositoryIndexRequest;
import dev.millrace.proto.inference.RepositoryIndexResponse;
import dev.millrace.proto.inference.RepositoryIndexResponse.ModelIndex;
import dev.millrace.proto.inference.RepositoryModelLoadRequest;
import dev.millrace.proto.inference.RepositoryModelLoadResponse;
import dev.millrace.proto.inference.RepositoryModelUnloadRequest;
import dev.millrace.proto.inference.RepositoryModelUnloadResponse;
import dev.millrace.proto.inference.ServerLiveRequest;
import dev.millrace.proto.inference.ServerLiveResponse;
import dev.millrace.proto.inference.ServerMetadataRequest;
import dev.millrace.proto.inference.ServerMetadataResponse;
import dev.millrace.proto.inference.ServerReadyRequest;
import dev.millrace.proto.inference.ServerReadyResponse;
import dev.millrace.runtime.ModelDescription;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.ModelState;
import dev.millrace.runtime.ModelStatus;
import dev.millrace.server.v2.LoadParameters;
import dev.millrace.server.v2.V2Routes;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.Map;

/**
 * {@code inference.GRPCInferenceService}. Called on event loops: nothing here blocks. What this
 * class does not override is answered with UNIMPLEMENTED.
 */
final class InferenceService extends GRPCInferenceServiceImplBase {
  private final ModelServer server;
  private final String name;
  private final String version;
  private final Ticker ticker;

  /**
   * A service over the models of {@code server}.
   *
   * @param name what the server calls itself in its metadata
   * @param version its own version
   * @param ticker the one that the server measures deadlines with
   */
  InferenceService(ModelServer server, String name, String version, Ticker ticker) {
    this.server = server;
    this.name = name;
    this.version = version;
    this.ticker = ticker;
  }

  @Override
  public void modelInfer(ModelInferRequest request, StreamObserver<ModelInferResponse> call) {
    boolean typed = request.getRawInputContentsCount() == 0;
    InferenceCall<ModelInferResponse> answer =
        new InferenceCall<>(
            (ServerCallStreamObserver<ModelInferResponse>) call,
            response -> GrpcResponseWriter.write(response, typed));
    try {
      answer.await(
          server.infer(
              GrpcRequestReader.read(request, InferenceCall.deadline(ticker)),
              CallHeaders.current()));
    } catch (InferenceException e) {
      GrpcErrors.fail(call, e);
    }
  }

  @Override
  public void serverLive(ServerLiveRequest request, StreamObserver<ServerLiveResponse> call) {
    GrpcAnswers.answer(
        call, () -> ServerLiveResponse.newBuilder().setLive(server.isLive()).build());
  }

  @Override
  public void serverReady(ServerReadyRequest request, StreamObserver<ServerReadyResponse> call) {
    GrpcAnswers.answer(
        call, () -> ServerReadyResponse.newBuilder().setReady(server.isReady()).build());
  }

  @Override
  public void modelReady(ModelReadyRequest request, StreamObserver<ModelReadyResponse> call) {
    GrpcAnswers.answer(
        call,
        () ->
            ModelReadyResponse.newBuilder()
                .setReady(
                    server.models().isReady(new ModelId(request.getName(), request.getVersion())))
                .build());
  }

  @Override
  public void serverMetadata(
      ServerMetadataRequest request, StreamObserver<ServerMetadataResponse> call) {
    GrpcAnswers.answer(
        call,
        () ->
            ServerMetadataResponse.newBuilder()
                .setName(name)
                .setVersion(version)
                .addAllExtensions(V2Routes.EXTENSIONS)
                .build());
  }

  @Override
  public void modelMetadata(
      ModelMetadataRequest request, StreamObserver<ModelMetadataResponse> call) {
    GrpcAnswers.answer(
        call,
        () ->
            metadata(
                server.models().describe(new ModelId(request.getName(), request.getVersion()))));
  }

  private static ModelMetadataResponse metadata(ModelDescription description) {
    ModelMetadataResponse.Builder response =
        ModelMetadataResponse.newBuilder()
            .setName(description.metadata().id().name())
            .addAllVersions(description.versions())
            .setPlatform(description.metadata().platform())
            .putAllProperties(description.metadata().properties());
    description.metadata().inputs().forEach(input -> response.addInputs(metadata(input)));
    description.metadata().outputs().forEach(output -> response.addOutputs(metadata(output)));
    return response.build();
  }

  private static TensorMetadata metadata(TensorSpec spec) {
    TensorMetadata.Builder metadata =
        TensorMetadata.newBuilder().setName(spec.name()).setDatatype(spec.dataType().name());
    for (int i = 0; i < spec.shape().rank(); i++) {
      metadata.addShape(spec.shape().dim(i));
    }
    return metadata.build();
  }

  @Override
  public void repositoryIndex(
      RepositoryIndexRequest request, StreamObserver<RepositoryIndexResponse> call) {
    GrpcAnswers.answer(
        call,
        () -> {
          requireNoRepository(request.getRepositoryName());
          RepositoryIndexResponse.Builder response = RepositoryIndexResponse.newBuilder();
          for (ModelStatus status : server.models().index()) {
            if (!request.getReady() || status.state() == ModelState.READY) {
              response.addModels(index(status));
            }
          }
          return response.build();
        });
  }

  private static ModelIndex index(ModelStatus status) {
    ModelIndex.Builder index = ModelIndex.newBuilder().setName(status.name());
    // A model that was never loaded has a name only.
    if (status.state() != ModelState.UNKNOWN) {
      index.setVersion(status.version()).setState(status.state().name());
      index.setReason(status.reason());
    }
    return index.build();
  }

  private static void requireNoRepository(String repository) {
    if (!repository.isEmpty()) {
      throw new InferenceException(
          ErrorCode.UNIMPLEMENTED, "'repository_name' specification is not supported");
    }
  }

  @Override
  public void repositoryModelLoad(
      RepositoryModelLoadRequest request, StreamObserver<RepositoryModelLoadResponse> call) {
    GrpcAnswers.answerLater(
        call,
        () -> {
          String model = model(request.getRepositoryName(), request.getModelName());
          Map<String, Object> overrides =
              LoadParameters.overrides(
                  model, GrpcParameters.readRepository(request.getParametersMap()));
          RepositoryModelLoadResponse done =
              RepositoryModelLoadResponse.newBuilder()
                  .setModelName(model)
                  .setIsLoaded(true)
                  .build();
          return server.models().load(model, overrides).thenApply(_ -> done);
        });
  }

  @Override
  public void repositoryModelUnload(
      RepositoryModelUnloadRequest request, StreamObserver<RepositoryModelUnloadResponse> call) {
    GrpcAnswers.answerLater(
        call,
        () -> {
          String model = model(request.getRepositoryName(), request.getModelName());
          RepositoryModelUnloadResponse done =
              RepositoryModelUnloadResponse.newBuilder()
                  .setModelName(model)
                  .setIsUnloaded(true)
                  .build();
          return server.models().unload(model).thenApply(_ -> done);
        });
  }

  /** The model's name, which KServe's clients put where Triton's have the repository's. */
  private static String model(String repository, String model) {
    if (!model.isEmpty()) {
      requireNoRepository(repository);
      return model;
    }
    if (repository.isEmpty()) {
      throw InferenceException.invalidArgument("model_name is missing");
    }
    return repository;
  }
}

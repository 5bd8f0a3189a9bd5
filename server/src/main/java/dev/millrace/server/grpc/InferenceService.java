package dev.millrace.server.grpc;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.Ticker;
import dev.millrace.proto.inference.CudaSharedMemoryRegisterRequest;
import dev.millrace.proto.inference.CudaSharedMemoryRegisterResponse;
import dev.millrace.proto.inference.CudaSharedMemoryStatusRequest;
import dev.millrace.proto.inference.CudaSharedMemoryStatusResponse;
import dev.millrace.proto.inference.CudaSharedMemoryUnregisterRequest;
import dev.millrace.proto.inference.CudaSharedMemoryUnregisterResponse;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceImplBase;
import dev.millrace.proto.inference.LogSettingsRequest;
import dev.millrace.proto.inference.LogSettingsResponse;
import dev.millrace.proto.inference.ModelConfigRequest;
import dev.millrace.proto.inference.ModelConfigResponse;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.proto.inference.ModelMetadataRequest;
import dev.millrace.proto.inference.ModelMetadataResponse;
import dev.millrace.proto.inference.ModelMetadataResponse.TensorMetadata;
import dev.millrace.proto.inference.ModelReadyRequest;
import dev.millrace.proto.inference.ModelReadyResponse;
import dev.millrace.proto.inference.ModelStatisticsRequest;
import dev.millrace.proto.inference.ModelStatisticsResponse;
import dev.millrace.proto.inference.ModelStreamInferResponse;
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
import dev.millrace.proto.inference.SystemSharedMemoryRegisterRequest;
import dev.millrace.proto.inference.SystemSharedMemoryRegisterResponse;
import dev.millrace.proto.inference.SystemSharedMemoryStatusRequest;
import dev.millrace.proto.inference.SystemSharedMemoryStatusResponse;
import dev.millrace.proto.inference.SystemSharedMemoryUnregisterRequest;
import dev.millrace.proto.inference.SystemSharedMemoryUnregisterResponse;
import dev.millrace.proto.inference.TraceSettingRequest;
import dev.millrace.proto.inference.TraceSettingResponse;
import dev.millrace.runtime.Headers;
import dev.millrace.runtime.ModelDescription;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.ModelState;
import dev.millrace.runtime.ModelStatus;
import dev.millrace.server.memory.SharedMemory;
import dev.millrace.server.triton.ConfigurationMessages;
import dev.millrace.server.triton.LogSettings;
import dev.millrace.server.triton.MemoryMessages;
import dev.millrace.server.triton.StatisticsMessages;
import dev.millrace.server.triton.TraceSettings;
import dev.millrace.server.v2.LoadParameters;
import dev.millrace.server.v2.OutputFinisher;
import dev.millrace.server.v2.V2Routes;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.HashMap;
import java.util.List;
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
  private final SharedMemory memory;
  private final GrpcRequestReader reader;

  /**
   * A service over the models of {@code server}.
   *
   * @param name what the server calls itself in its metadata
   * @param version its own version
   * @param ticker the one that the server measures deadlines with
   * @param memory where clients may have tensors
   */
  InferenceService(
      ModelServer server, String name, String version, Ticker ticker, SharedMemory memory) {
    this.server = server;
    this.name = name;
    this.version = version;
    this.ticker = ticker;
    this.memory = memory;
    this.reader = new GrpcRequestReader(memory);
  }

  @Override
  public void modelInfer(ModelInferRequest request, StreamObserver<ModelInferResponse> call) {
    boolean typed = request.getRawInputContentsCount() == 0;
    try {
      OutputFinisher finisher = finisher(request);
      InferenceCall<ModelInferResponse> answer =
          new InferenceCall<>(
              (ServerCallStreamObserver<ModelInferResponse>) call,
              finisher::finish,
              response -> GrpcResponseWriter.write(response, typed, finisher));
      answer.await(
          server.infer(
              reader.read(request, InferenceCall.deadline(ticker)), CallHeaders.current()));
    } catch (InferenceException e) {
      GrpcErrors.fail(call, e);
    }
  }

  private OutputFinisher finisher(ModelInferRequest request) {
    return OutputFinisher.of(
        GrpcRequestReader.options(request),
        new ModelId(request.getModelName(), request.getModelVersion()),
        server.models(),
        memory);
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
                .addAllExtensions(V2Routes.extensions(memory))
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
  public void modelConfig(ModelConfigRequest request, StreamObserver<ModelConfigResponse> call) {
    GrpcAnswers.answer(
        call,
        () ->
            ModelConfigResponse.newBuilder()
                .setConfig(
                    ConfigurationMessages.of(
                        server
                            .models()
                            .describe(new ModelId(request.getName(), request.getVersion()))))
                .build());
  }

  @Override
  public void modelStatistics(
      ModelStatisticsRequest request, StreamObserver<ModelStatisticsResponse> call) {
    GrpcAnswers.answer(
        call,
        () -> StatisticsMessages.of(server.models(), request.getName(), request.getVersion()));
  }

  @Override
  public void systemSharedMemoryStatus(
      SystemSharedMemoryStatusRequest request,
      StreamObserver<SystemSharedMemoryStatusResponse> call) {
    GrpcAnswers.answer(call, () -> MemoryMessages.status(memory, request));
  }

  @Override
  public void systemSharedMemoryRegister(
      SystemSharedMemoryRegisterRequest request,
      StreamObserver<SystemSharedMemoryRegisterResponse> call) {
    GrpcAnswers.answer(call, () -> MemoryMessages.register(memory, request));
  }

  @Override
  public void systemSharedMemoryUnregister(
      SystemSharedMemoryUnregisterRequest request,
      StreamObserver<SystemSharedMemoryUnregisterResponse> call) {
    GrpcAnswers.answer(call, () -> MemoryMessages.unregister(memory, request));
  }

  @Override
  public void cudaSharedMemoryStatus(
      CudaSharedMemoryStatusRequest request, StreamObserver<CudaSharedMemoryStatusResponse> call) {
    GrpcAnswers.answer(call, () -> MemoryMessages.cudaStatus(request));
  }

  @Override
  public void cudaSharedMemoryRegister(
      CudaSharedMemoryRegisterRequest request,
      StreamObserver<CudaSharedMemoryRegisterResponse> call) {
    GrpcErrors.fail(call, MemoryMessages.noCuda());
  }

  @Override
  public void cudaSharedMemoryUnregister(
      CudaSharedMemoryUnregisterRequest request,
      StreamObserver<CudaSharedMemoryUnregisterResponse> call) {
    GrpcAnswers.answer(call, CudaSharedMemoryUnregisterResponse::getDefaultInstance);
  }

  @Override
  public void logSettings(LogSettingsRequest request, StreamObserver<LogSettingsResponse> call) {
    GrpcAnswers.answer(call, () -> LogSettings.answer(request));
  }

  @Override
  public void traceSetting(TraceSettingRequest request, StreamObserver<TraceSettingResponse> call) {
    GrpcAnswers.answer(
        call,
        () -> {
          if (!request.getModelName().isEmpty()) {
            var _ = server.models().isReady(ModelId.latest(request.getModelName()));
          }
          Map<String, List<String>> changes = new HashMap<>();
          request.getSettingsMap().forEach((key, value) -> changes.put(key, value.getValueList()));
          return TraceSettings.answer(changes);
        });
  }

  @Override
  public StreamObserver<ModelInferRequest> modelStreamInfer(
      StreamObserver<ModelStreamInferResponse> call) {
    return new InferenceStream(
            (ServerCallStreamObserver<ModelStreamInferResponse>) call, this::startStreamed)
        .start();
  }

  private InferenceStream.Started startStreamed(ModelInferRequest request) {
    OutputFinisher finisher = finisher(request);
    InferenceRequest inference = reader.read(request, InferenceCall.deadline(ticker));
    long bytes = inference.inputs().byteSize();
    Headers headers = CallHeaders.current();
    boolean streams;
    try {
      streams = server.models().describe(inference.model()).streams();
    } catch (RuntimeException e) {
      inference.close();
      throw e;
    }
    return streams
        ? InferenceStream.Started.streamed(server.stream(inference, headers), finisher, bytes)
        : InferenceStream.Started.single(server.infer(inference, headers), finisher, bytes);
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

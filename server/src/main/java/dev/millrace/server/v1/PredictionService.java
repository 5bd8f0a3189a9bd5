package dev.millrace.server.v1;

import com.google.protobuf.Any;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.Ticker;
import dev.millrace.proto.tensorflow.SignatureDef;
import dev.millrace.proto.tensorflow.TensorInfo;
import dev.millrace.proto.tfserving.ClassificationRequest;
import dev.millrace.proto.tfserving.ClassificationResponse;
import dev.millrace.proto.tfserving.GetModelMetadataRequest;
import dev.millrace.proto.tfserving.GetModelMetadataResponse;
import dev.millrace.proto.tfserving.Input;
import dev.millrace.proto.tfserving.ModelSpec;
import dev.millrace.proto.tfserving.MultiInferenceRequest;
import dev.millrace.proto.tfserving.MultiInferenceResponse;
import dev.millrace.proto.tfserving.PredictRequest;
import dev.millrace.proto.tfserving.PredictResponse;
import dev.millrace.proto.tfserving.PredictionServiceGrpc.PredictionServiceImplBase;
import dev.millrace.proto.tfserving.RegressionRequest;
import dev.millrace.proto.tfserving.RegressionResponse;
import dev.millrace.proto.tfserving.SignatureDefMap;
import dev.millrace.runtime.ModelServer;
import dev.millrace.server.grpc.CallHeaders;
import dev.millrace.server.grpc.GrpcAnswers;
import dev.millrace.server.grpc.GrpcErrors;
import dev.millrace.server.grpc.InferenceCall;
import dev.millrace.server.v1.ModelSpecs.Target;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * {@code tensorflow.serving.PredictionService}. Called on event loops: nothing here blocks.
 *
 * <p>A model that does not know signatures has one, which is the model itself.
 */
public final class PredictionService extends PredictionServiceImplBase {
  private static final String SIGNATURE_FIELD = "signature_def";

  private final ModelServer server;
  private final ServedModels models;
  private final Ticker ticker;

  /**
   * A service over the models of {@code server}.
   *
   * @param ticker the one that the server measures deadlines with
   */
  public PredictionService(ModelServer server, Ticker ticker) {
    this.server = server;
    this.models = new ServedModels(server.models());
    this.ticker = ticker;
  }

  @Override
  public void predict(PredictRequest request, StreamObserver<PredictResponse> call) {
    infer(
        call,
        () -> target(request.hasModelSpec(), request.getModelSpec()),
        target -> PredictMessages.read(target, request, InferenceCall.deadline(ticker)),
        PredictMessages::write);
  }

  @Override
  public void classify(ClassificationRequest request, StreamObserver<ClassificationResponse> call) {
    infer(
        call,
        () -> target(request.hasModelSpec(), request.getModelSpec()),
        target -> examples(target, request.getInput()),
        (response, signature) ->
            ClassificationResponse.newBuilder()
                .setResult(ResultMessages.classifications(response.outputs()))
                .setModelSpec(ModelSpecs.write(response.model(), signature))
                .build());
  }

  @Override
  public void regress(RegressionRequest request, StreamObserver<RegressionResponse> call) {
    infer(
        call,
        () -> target(request.hasModelSpec(), request.getModelSpec()),
        target -> examples(target, request.getInput()),
        (response, signature) ->
            RegressionResponse.newBuilder()
                .setResult(ResultMessages.regressions(response.outputs()))
                .setModelSpec(ModelSpecs.write(response.model(), signature))
                .build());
  }

  @Override
  public void multiInference(
      MultiInferenceRequest request, StreamObserver<MultiInferenceResponse> call) {
    InferenceTasks tasks;
    List<CompletableFuture<InferenceResponse>> answers = new ArrayList<>();
    try {
      tasks = InferenceTasks.of(request.getTasksList(), models);
      for (Target target : tasks.targets()) {
        InferenceRequest read = examples(target, request.getInput());
        answers.add(server.infer(read, CallHeaders.current()));
      }
    } catch (RuntimeException e) {
      for (CompletableFuture<InferenceResponse> answer : answers) {
        var _ = answer.thenAccept(InferenceResponse::close);
      }
      GrpcErrors.fail(call, e);
      return;
    }
    new InferenceCall<>((ServerCallStreamObserver<MultiInferenceResponse>) call, tasks::results)
        .await(JoinedAnswers.join(answers));
  }

  private Target target(boolean present, ModelSpec spec) {
    return ModelSpecs.target(present, spec, models);
  }

  private InferenceRequest examples(Target target, Input input) {
    return ExampleInputs.read(target, input, InferenceCall.deadline(ticker));
  }

  /**
   * Answers a call with what a model answers.
   *
   * @param answer makes the message of a response and the name of the signature
   */
  private <M> void infer(
      StreamObserver<M> call,
      Supplier<Target> model,
      Function<Target, InferenceRequest> request,
      BiFunction<InferenceResponse, String, M> answer) {
    Target target;
    InferenceRequest read;
    try {
      target = model.get();
      read = request.apply(target);
    } catch (RuntimeException e) {
      GrpcErrors.fail(call, e);
      return;
    }
    new InferenceCall<>(
            (ServerCallStreamObserver<M>) call,
            response -> answer.apply(response, target.signature().name()))
        .await(server.infer(read, CallHeaders.current()));
  }

  @Override
  public void getModelMetadata(
      GetModelMetadataRequest request, StreamObserver<GetModelMetadataResponse> call) {
    GrpcAnswers.answer(
        call,
        () -> {
          ModelId model = ModelSpecs.id(request.hasModelSpec(), request.getModelSpec(), models);
          requireSignatureField(request.getMetadataFieldList());
          Signatures signatures = models.signatures(model);
          SignatureDefMap.Builder defined = SignatureDefMap.newBuilder();
          for (Signature signature : signatures.all()) {
            defined.putSignatureDef(signature.name(), definition(signature));
          }
          return GetModelMetadataResponse.newBuilder()
              .setModelSpec(ModelSpecs.write(signatures.main().metadata().id(), ""))
              .putMetadata(SIGNATURE_FIELD, Any.pack(defined.build()))
              .build();
        });
  }

  private static void requireSignatureField(List<String> fields) {
    if (fields.isEmpty()) {
      throw InferenceException.invalidArgument(
          "GetModelMetadataRequest must specify at least one metadata_field");
    }
    for (String field : fields) {
      if (!field.equals(SIGNATURE_FIELD)) {
        throw InferenceException.invalidArgument(
            "Metadata field %s is not supported".formatted(V1Errors.shortened(field)));
      }
    }
  }

  private static SignatureDef definition(Signature signature) {
    SignatureDef.Builder definition = SignatureDef.newBuilder().setMethodName(signature.method());
    for (TensorSpec spec : signature.metadata().inputs()) {
      definition.putInputs(spec.name(), tensor(spec, signature.inputTensor(spec.name())));
    }
    for (TensorSpec spec : signature.metadata().outputs()) {
      definition.putOutputs(spec.name(), tensor(spec, signature.outputTensor(spec.name())));
    }
    return definition.build();
  }

  private static TensorInfo tensor(TensorSpec spec, String name) {
    return TensorInfo.newBuilder()
        .setName(name)
        .setDtype(TensorFlowTypes.write(spec.dataType()))
        .setTensorShape(TensorProtoWriter.shape(spec.shape()))
        .build();
  }
}

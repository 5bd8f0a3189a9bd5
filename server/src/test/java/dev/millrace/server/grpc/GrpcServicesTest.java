package dev.millrace.server.grpc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.ModelMetadataRequest;
import dev.millrace.proto.inference.ModelMetadataResponse;
import dev.millrace.proto.inference.ModelReadyRequest;
import dev.millrace.proto.inference.ModelRepositoryParameter;
import dev.millrace.proto.inference.RepositoryIndexRequest;
import dev.millrace.proto.inference.RepositoryIndexResponse.ModelIndex;
import dev.millrace.proto.inference.RepositoryModelLoadRequest;
import dev.millrace.proto.inference.RepositoryModelUnloadRequest;
import dev.millrace.proto.inference.ServerLiveRequest;
import dev.millrace.proto.inference.ServerMetadataRequest;
import dev.millrace.proto.inference.ServerMetadataResponse;
import dev.millrace.proto.inference.ServerReadyRequest;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.CallOptions;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.reflection.v1.ServerReflectionResponse;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class GrpcServicesTest {
  @TempDir private Path root;
  private GrpcFixture fixture;

  @BeforeEach
  void start() throws IOException {
    fixture = GrpcFixture.start(root);
  }

  @AfterEach
  void stop() {
    fixture.close();
  }

  private static void assertRefused(ThrowingCallable call, Status.Code code, String text) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> {
              assertThat(e.getStatus().getCode()).isEqualTo(code);
              assertThat(e.getStatus().getDescription()).contains(text);
            });
  }

  @Test
  void server_isLiveAndReadyUntilItDrains() {
    assertThat(fixture.stub().serverLive(ServerLiveRequest.getDefaultInstance()).getLive())
        .isTrue();
    assertThat(fixture.stub().serverReady(ServerReadyRequest.getDefaultInstance()).getReady())
        .isTrue();
    fixture.server.models().startDraining();
    assertThat(fixture.stub().serverReady(ServerReadyRequest.getDefaultInstance()).getReady())
        .isFalse();
    assertThat(fixture.stub().serverLive(ServerLiveRequest.getDefaultInstance()).getLive())
        .isTrue();
  }

  @Test
  void serverMetadata_namesTheServer() {
    ServerMetadataResponse metadata =
        fixture.stub().serverMetadata(ServerMetadataRequest.getDefaultInstance());
    assertThat(metadata.getName()).isEqualTo("millrace");
    assertThat(metadata.getVersion()).isNotEmpty();
    assertThat(metadata.getExtensionsList()).contains("model_repository");
  }

  @Test
  void modelMetadata_describesInputsAndOutputs() {
    ModelMetadataResponse metadata =
        fixture.stub().modelMetadata(ModelMetadataRequest.newBuilder().setName("pair").build());
    assertThat(metadata.getName()).isEqualTo("pair");
    assertThat(metadata.getVersionsList()).containsExactly("1");
    assertThat(metadata.getPlatform()).isEqualTo("echo_v1");
    assertThat(metadata.getInputsList()).extracting("name").containsExactly("A", "B");
    assertThat(metadata.getOutputs(1).getName()).isEqualTo("D");
    assertThat(metadata.getOutputs(1).getDatatype()).isEqualTo("INT32");
    assertThat(metadata.getOutputs(1).getShapeList()).containsExactly(-1L, 2L);
    assertThat(metadata.getPropertiesMap()).containsEntry("made", "by hand");
    assertRefused(
        () -> fixture.stub().modelMetadata(ModelMetadataRequest.newBuilder().setName("x").build()),
        Status.Code.NOT_FOUND,
        "Request for unknown model: 'x' is not found");
  }

  private boolean isReady(String model) {
    return fixture
        .stub()
        .modelReady(ModelReadyRequest.newBuilder().setName(model).build())
        .getReady();
  }

  @Test
  void model_isUnloadedAndLoadedAgain() {
    assertThat(isReady("pair")).isTrue();
    var unloaded =
        fixture
            .stub()
            .repositoryModelUnload(
                RepositoryModelUnloadRequest.newBuilder()
                    .setModelName("pair")
                    .putParameters(
                        "unload_dependents",
                        ModelRepositoryParameter.newBuilder().setBoolParam(false).build())
                    .build());
    assertThat(unloaded.getModelName()).isEqualTo("pair");
    assertThat(unloaded.getIsUnloaded()).isTrue();
    assertThat(isReady("pair")).isFalse();
    assertThat(state("pair").getState()).isEqualTo("UNAVAILABLE");
    // KServe's clients put the name into the first field.
    var loaded =
        fixture
            .stub()
            .repositoryModelLoad(
                RepositoryModelLoadRequest.newBuilder().setRepositoryName("pair").build());
    assertThat(loaded.getModelName()).isEqualTo("pair");
    assertThat(loaded.getIsLoaded()).isTrue();
    assertThat(isReady("pair")).isTrue();
    assertThat(state("pair").getVersion()).isEqualTo("1");
    assertThat(fixture.stub().modelInfer(GrpcFixture.pair().build()).getOutputsList()).hasSize(2);
  }

  private ModelIndex state(String model) {
    return fixture
        .stub()
        .repositoryIndex(RepositoryIndexRequest.getDefaultInstance())
        .getModelsList()
        .stream()
        .filter(index -> index.getName().equals(model))
        .findAny()
        .orElseThrow();
  }

  @Test
  void index_canBeOfReadyModelsOnly() {
    assertThat(state("pair").getState()).isEqualTo("READY");
    var unload = RepositoryModelUnloadRequest.newBuilder().setModelName("pair").build();
    assertThat(fixture.stub().repositoryModelUnload(unload).getIsUnloaded()).isTrue();
    assertThat(
            fixture
                .stub()
                .repositoryIndex(RepositoryIndexRequest.newBuilder().setReady(true).build())
                .getModelsList())
        .extracting(ModelIndex::getName)
        .contains("echo_fp32")
        .doesNotContain("pair");
    assertRefused(
        () ->
            fixture
                .stub()
                .repositoryIndex(
                    RepositoryIndexRequest.newBuilder().setRepositoryName("x").build()),
        Status.Code.UNIMPLEMENTED,
        "'repository_name' specification is not supported");
  }

  @Test
  void loadThatFails_saysWhy_andTheOldModelStays() throws IOException {
    Files.createFile(root.resolve("pair/1/broken"));
    assertRefused(
        () ->
            fixture
                .stub()
                .repositoryModelLoad(
                    RepositoryModelLoadRequest.newBuilder().setModelName("pair").build()),
        Status.Code.INVALID_ARGUMENT,
        "failed to load 'pair', ");
    assertThat(fixture.stub().modelInfer(GrpcFixture.pair().build()).getOutputsList()).hasSize(2);
    assertRefused(
        () ->
            fixture
                .stub()
                .repositoryModelLoad(
                    RepositoryModelLoadRequest.newBuilder()
                        .setModelName("pair")
                        .putParameters(
                            "file:1/model.echo",
                            ModelRepositoryParameter.newBuilder()
                                .setBytesParam(ByteString.copyFromUtf8("x"))
                                .build())
                        .build()),
        Status.Code.UNIMPLEMENTED,
        "failed to load 'pair', files in the request are not supported");
    assertRefused(
        () -> fixture.stub().repositoryModelLoad(RepositoryModelLoadRequest.getDefaultInstance()),
        Status.Code.INVALID_ARGUMENT,
        "model_name is missing");
    assertRefused(
        () ->
            fixture
                .stub()
                .repositoryModelUnload(
                    RepositoryModelUnloadRequest.newBuilder().setModelName("nobody").build()),
        Status.Code.NOT_FOUND,
        "nobody");
  }

  @Test
  void messageOverTheLimit_isRefused_alsoCompressed(@TempDir Path other) throws IOException {
    try (GrpcFixture small =
        GrpcFixture.start(
            other, config -> config.withGrpc(config.grpc().withMaxMessageSize(10_000)))) {
      var tooLarge = GrpcFixture.floats(new float[2_500]);
      assertRefused(
          () -> small.stub().modelInfer(tooLarge), Status.Code.RESOURCE_EXHAUSTED, "10000");
      // Zeros compress well.
      for (String encoding : new String[] {"gzip", "deflate"}) {
        assertRefused(
            () -> small.stub().withCompression(encoding).modelInfer(tooLarge),
            Status.Code.RESOURCE_EXHAUSTED,
            "10000");
      }
      assertThat(small.stub().modelInfer(GrpcFixture.floats(1)).getOutputsList()).hasSize(1);
    }
  }

  @Test
  void malformedMessage_isRefused() {
    MethodDescriptor<byte[], byte[]> method =
        MethodDescriptor.<byte[], byte[]>newBuilder(bytes(), bytes())
            .setType(MethodDescriptor.MethodType.UNARY)
            .setFullMethodName(GRPCInferenceServiceGrpc.getModelInferMethod().getFullMethodName())
            .build();
    for (String encoding : new String[] {"identity", "gzip", "deflate"}) {
      assertRefused(
          () ->
              ClientCalls.blockingUnaryCall(
                  fixture.channel,
                  method,
                  CallOptions.DEFAULT.withCompression(encoding),
                  new byte[] {-1, -1, -1}),
          Status.Code.INVALID_ARGUMENT,
          "Invalid protobuf byte sequence");
    }
  }

  private static MethodDescriptor.Marshaller<byte[]> bytes() {
    return new MethodDescriptor.Marshaller<>() {
      @Override
      public InputStream stream(byte[] value) {
        return new ByteArrayInputStream(value);
      }

      @Override
      public byte[] parse(InputStream stream) {
        return new byte[0];
      }
    };
  }

  @Test
  void reflection_canBeOff(@TempDir Path other) throws IOException {
    try (GrpcFixture closed =
        GrpcFixture.start(other, config -> config.withGrpc(config.grpc().withReflection(false)))) {
      CompletableFuture<ServerReflectionResponse> answer = new CompletableFuture<>();
      var calls = ServerReflectionGrpc.newStub(closed.channel).serverReflectionInfo(first(answer));
      calls.onNext(ServerReflectionRequest.newBuilder().setListServices("").build());
      assertThat(answer)
          .failsWithin(Duration.ofSeconds(10))
          .withThrowableThat()
          .withMessageContaining("UNIMPLEMENTED");
    }
  }

  private static HealthCheckRequest health(String service) {
    return HealthCheckRequest.newBuilder().setService(service).build();
  }

  @Test
  void healthCheck_followsReadiness() {
    HealthGrpc.HealthBlockingStub stub = HealthGrpc.newBlockingStub(fixture.channel);
    for (String service : new String[] {"", GRPCInferenceServiceGrpc.SERVICE_NAME}) {
      assertThat(stub.check(health(service)).getStatus()).isEqualTo(ServingStatus.SERVING);
    }
    assertRefused(() -> stub.check(health("x")), Status.Code.NOT_FOUND, "unknown service x");
    fixture.server.models().startDraining();
    assertThat(stub.check(health("")).getStatus()).isEqualTo(ServingStatus.NOT_SERVING);
  }

  @Test
  void healthWatch_isToldOfChanges_andEndsWithTheServer() {
    HealthGrpc.HealthBlockingStub stub =
        HealthGrpc.newBlockingStub(fixture.channel).withDeadlineAfter(20, TimeUnit.SECONDS);
    Iterator<HealthCheckResponse> known = stub.watch(health(""));
    Iterator<HealthCheckResponse> unknown = stub.watch(health("x"));
    assertThat(known.next().getStatus()).isEqualTo(ServingStatus.SERVING);
    assertThat(unknown.next().getStatus()).isEqualTo(ServingStatus.SERVICE_UNKNOWN);
    fixture.server.models().startDraining();
    assertThat(known.next().getStatus()).isEqualTo(ServingStatus.NOT_SERVING);
    long start = System.nanoTime();
    fixture.server.close();
    assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(8));
    assertRefused(known::hasNext, Status.Code.UNAVAILABLE, "the server is stopping");
  }

  @Test
  void reflection_listsTheServices_inBothVersions() throws Exception {
    CompletableFuture<ServerReflectionResponse> answer = new CompletableFuture<>();
    var calls = ServerReflectionGrpc.newStub(fixture.channel).serverReflectionInfo(first(answer));
    calls.onNext(ServerReflectionRequest.newBuilder().setListServices("").build());
    assertThat(answer.get(10, TimeUnit.SECONDS).getListServicesResponse().getServiceList())
        .extracting("name")
        .contains(GRPCInferenceServiceGrpc.SERVICE_NAME, HealthGrpc.SERVICE_NAME);
    calls.onCompleted();

    CompletableFuture<io.grpc.reflection.v1alpha.ServerReflectionResponse> old =
        new CompletableFuture<>();
    var oldCalls =
        io.grpc.reflection.v1alpha.ServerReflectionGrpc.newStub(fixture.channel)
            .serverReflectionInfo(first(old));
    oldCalls.onNext(
        io.grpc.reflection.v1alpha.ServerReflectionRequest.newBuilder()
            .setFileContainingSymbol("inference.ModelInferRequest")
            .build());
    assertThat(
            old.get(10, TimeUnit.SECONDS).getFileDescriptorResponse().getFileDescriptorProtoList())
        .isNotEmpty();
    oldCalls.onCompleted();
  }

  private static <T> StreamObserver<T> first(CompletableFuture<T> answer) {
    return new StreamObserver<>() {
      @Override
      public void onNext(T value) {
        answer.complete(value);
      }

      @Override
      public void onError(Throwable failure) {
        answer.completeExceptionally(failure);
      }

      @Override
      public void onCompleted() {}
    };
  }
}

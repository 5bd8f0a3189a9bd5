package dev.millrace.server.triton;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.InferParameter;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.proto.inference.ModelStreamInferResponse;
import dev.millrace.proto.inference.ServerLiveRequest;
import dev.millrace.server.http.Await;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.v2.TestBackend;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class InferenceStreamTest {
  private static final Metadata.Key<String> GRPC_ERROR =
      Metadata.Key.of("triton_grpc_error", Metadata.ASCII_STRING_MARSHALLER);

  private static TritonFixture fixture;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    TestBackend.repository(repository, "identity_fp32", "gated_simple", "broken");
    fixture = new TritonFixture(repository);
  }

  @AfterAll
  static void stop() throws IOException {
    fixture.close();
  }

  /** A client's end of a stream. */
  private static final class Client
      implements ClientResponseObserver<ModelInferRequest, ModelStreamInferResponse> {
    private final List<ModelStreamInferResponse> responses = new CopyOnWriteArrayList<>();
    private final CompletableFuture<Status> ended = new CompletableFuture<>();
    private final boolean takes;
    private @Nullable ClientCallStreamObserver<ModelInferRequest> call;

    /**
     * A client.
     *
     * @param takes whether it takes responses by itself
     */
    Client(boolean takes) {
      this.takes = takes;
    }

    StreamObserver<ModelInferRequest> open() {
      return fixture.asyncStub().modelStreamInfer(this);
    }

    ClientCallStreamObserver<ModelInferRequest> call() {
      return java.util.Objects.requireNonNull(call);
    }

    @Override
    public void beforeStart(ClientCallStreamObserver<ModelInferRequest> stream) {
      call = stream;
      if (!takes) {
        stream.disableAutoRequestWithInitial(0);
      }
    }

    @Override
    public void onNext(ModelStreamInferResponse response) {
      responses.add(response);
    }

    @Override
    public void onError(Throwable failure) {
      ended.complete(Status.fromThrowable(failure));
    }

    @Override
    public void onCompleted() {
      ended.complete(Status.OK);
    }

    Status end() throws Exception {
      return ended.get(20, TimeUnit.SECONDS);
    }
  }

  private static ModelInferRequest.Builder simple(String model) {
    ModelInferRequest.Builder request = ModelInferRequest.newBuilder().setModelName(model);
    for (String name : new String[] {"INPUT0", "INPUT1"}) {
      InferInputTensor.Builder input =
          InferInputTensor.newBuilder().setName(name).setDatatype("INT32").addShape(1).addShape(16);
      for (int i = 0; i < 16; i++) {
        input.getContentsBuilder().addIntContents(i);
      }
      request.addInputs(input);
    }
    return request;
  }

  @Test
  void responses_comeInTheOrderOfTheirRequests() throws Exception {
    Client client = new Client(true);
    StreamObserver<ModelInferRequest> stream = client.open();
    for (int i = 0; i < 500; i++) {
      stream.onNext(TritonFixture.floats(String.valueOf(i), i, -i).build());
    }
    stream.onCompleted();

    assertThat(client.end()).isEqualTo(Status.OK);
    assertThat(client.responses)
        .extracting(response -> response.getInferResponse().getId())
        .isEqualTo(IntStream.range(0, 500).mapToObj(String::valueOf).toList());
    for (int i = 0; i < 500; i++) {
      ModelStreamInferResponse response = client.responses.get(i);
      assertThat(response.getErrorMessage()).isEmpty();
      assertThat(response.getInferResponse().getRawOutputContents(0))
          .isEqualTo(TritonFixture.floats("", i, -i).getRawInputContents(0));
      assertThat(
              response
                  .getInferResponse()
                  .getParametersOrThrow("triton_final_response")
                  .getBoolParam())
          .isTrue();
    }
  }

  @Test
  void slowRequest_holdsBackTheAnswersBehindIt() throws Exception {
    int runsBefore = fixture.backend.gated.get();
    Client client = new Client(true);
    StreamObserver<ModelInferRequest> stream = client.open();
    stream.onNext(simple("gated_simple").setId("slow").build());
    stream.onNext(
        TritonFixture.floats("fast", 1, 2)
            .putParameters(
                "triton_enable_empty_final_response",
                InferParameter.newBuilder().setBoolParam(true).build())
            .build());
    stream.onNext(simple("nobody").setId("wrong").build());
    Await.until("it runs", () -> fixture.backend.gated.get() == runsBefore + 1);
    Await.until("the fast one ran", () -> fixture.server.models().requestsInFlight() == 1);
    assertThat(client.responses).isEmpty();
    fixture.backend.gate.release();
    stream.onCompleted();

    assertThat(client.end()).isEqualTo(Status.OK);
    assertThat(client.responses)
        .extracting(response -> response.getInferResponse().getId())
        .containsExactly("slow", "fast", "wrong");
  }

  @Test
  void failure_isAMessageAndTheStreamGoesOn() throws Exception {
    Client client = new Client(true);
    StreamObserver<ModelInferRequest> stream = client.open();
    stream.onNext(TritonFixture.floats("a", 1, 2).setModelName("nobody").build());
    stream.onNext(TritonFixture.floats("b", 1, 2).setModelName("broken").build());
    stream.onNext(TritonFixture.floats("c", 1, 2).clearRawInputContents().build());
    stream.onNext(TritonFixture.floats("d", 1, 2).build());
    stream.onCompleted();

    assertThat(client.end()).isEqualTo(Status.OK);
    assertThat(client.responses)
        .extracting(response -> response.getInferResponse().getId())
        .containsExactly("a", "b", "c", "d");
    assertThat(client.responses)
        .extracting(ModelStreamInferResponse::getErrorMessage)
        .containsExactly(
            "Request for unknown model: 'nobody' is not found",
            "the values are no good",
            "unable to find data for input tensor 'INPUT0' for model 'identity_fp32' in request.",
            "");
  }

  @Test
  void failure_endsTheStreamIfTheClientAsksForThat() throws Exception {
    Metadata headers = new Metadata();
    headers.put(GRPC_ERROR, "true");
    Client client = new Client(true);
    StreamObserver<ModelInferRequest> stream =
        GRPCInferenceServiceGrpc.newStub(fixture.channel)
            .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
            .modelStreamInfer(client);
    stream.onNext(TritonFixture.floats("a", 1, 2).build());
    stream.onNext(TritonFixture.floats("b", 1, 2).setModelName("nobody").build());
    stream.onNext(TritonFixture.floats("c", 1, 2).build());

    assertThat(client.end().getCode()).isEqualTo(Status.Code.NOT_FOUND);
    assertThat(client.responses)
        .extracting(response -> response.getInferResponse().getId())
        .isEqualTo(List.of("a"));
  }

  @Test
  void clientThatDoesNotRead_isNotReadFrom() throws Exception {
    double before = answered();
    Client client = new Client(false);
    StreamObserver<ModelInferRequest> stream = client.open();
    ModelInferRequest.Builder row = TritonFixture.floats("", new float[20_000]);
    row.setInputs(0, row.getInputs(0).toBuilder().setShape(0, 1).setShape(1, 20_000));
    int sent = 400;
    for (int i = 0; i < sent; i++) {
      stream.onNext(row.setId(String.valueOf(i)).build());
    }
    stream.onCompleted();
    // What fits into the windows of the connection is answered, and what one stream may hold.
    Await.until("some are answered", () -> answered() > before + 10);
    long heldBack = 0;
    while (heldBack < 20 && answered() < before + sent) {
      double seen = answered();
      var _ = fixture.stub().serverLive(ServerLiveRequest.getDefaultInstance());
      heldBack = answered() == seen ? heldBack + 1 : 0;
    }
    assertThat(answered() - before).isLessThan(sent);
    assertThat(client.responses).isEmpty();

    client.call().request(sent + 1);

    assertThat(client.end()).isEqualTo(Status.OK);
    assertThat(client.responses).hasSize(sent);
  }

  private static double answered() {
    return fixture
        .server
        .meters()
        .get("millrace.requests")
        .tag("model", "identity_fp32")
        .tag("outcome", "ok")
        .counter()
        .count();
  }

  @Test
  void cancelledStream_cancelsItsRequests() {
    int runsBefore = fixture.backend.gated.get();
    Client client = new Client(true);
    StreamObserver<ModelInferRequest> stream = client.open();
    for (int i = 0; i < 5; i++) {
      stream.onNext(simple("gated_simple").build());
    }
    Await.until("one runs", () -> fixture.backend.gated.get() > runsBefore);
    client.call().cancel("enough", null);

    Await.until("nothing is waited for", () -> fixture.server.models().requestsInFlight() == 0);
    fixture.backend.gate.release(5);
    Await.until("the runs have ended", () -> runsEnded(runsBefore));
    fixture.backend.gate.drainPermits();
  }

  private static boolean runsEnded(int runsBefore) {
    return 5 - fixture.backend.gate.availablePermits() == fixture.backend.gated.get() - runsBefore;
  }

  @Test
  void emptyStream_endsWell() throws Exception {
    Client client = new Client(true);
    client.open().onCompleted();

    assertThat(client.end()).isEqualTo(Status.OK);
    assertThat(client.responses).isEmpty();
  }

  @Test
  void streams_sideBySide() throws Exception {
    List<Client> clients = IntStream.range(0, 20).mapToObj(i -> new Client(true)).toList();
    List<StreamObserver<ModelInferRequest>> streams = clients.stream().map(Client::open).toList();
    for (int i = 0; i < 50; i++) {
      for (StreamObserver<ModelInferRequest> stream : streams) {
        stream.onNext(TritonFixture.floats(String.valueOf(i), i, i).build());
      }
    }
    streams.forEach(StreamObserver::onCompleted);
    for (Client client : clients) {
      assertThat(client.end()).isEqualTo(Status.OK);
      assertThat(client.responses).hasSize(50);
    }
  }
}

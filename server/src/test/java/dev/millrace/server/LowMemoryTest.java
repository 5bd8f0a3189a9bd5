package dev.millrace.server;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.UnsafeByteOperations;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceStub;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelStreamInferResponse;
import dev.millrace.server.http.RawClient;
import dev.millrace.server.http.RawClient.Response;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.StreamObserver;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server whose memory is less than what clients send. */
class LowMemoryTest {
  private static final String INFER = "/v2/models/sum/infer";
  private static final int SIZE = 40 << 20;
  private static final int CLIENTS = 8; // together more than the 256 MB of a ServerProcess

  @TempDir Path directory;

  /** Far more of a tensor than what is left, and one that is small. */
  private static void assertGrpcLikewise(int port) {
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("localhost", port).usePlaintext().build();
    try {
      var stub =
          GRPCInferenceServiceGrpc.newBlockingStub(channel)
              .withDeadlineAfter(Duration.ofSeconds(60));
      ModelInferRequest small = SumModels.grpcRequest();
      ModelInferRequest large =
          small.toBuilder()
              .addRawInputContents(UnsafeByteOperations.unsafeWrap(new byte[60 << 20]))
              .build();
      assertThatThrownBy(() -> stub.modelInfer(large))
          .isInstanceOfSatisfying(
              StatusRuntimeException.class,
              e -> {
                assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
                assertThat(e.getStatus().getDescription())
                    .startsWith("the server has no memory for the request");
              });
      assertThat(stub.modelInfer(small).getModelName()).isEqualTo("sum");
      assertStreamLikewise(GRPCInferenceServiceGrpc.newStub(channel), small, large);
      assertThat(stub.modelInfer(small).getModelName()).isEqualTo("sum");
    } finally {
      channel.shutdownNow();
    }
  }

  /** A stream is answered until then, and ended. */
  private static void assertStreamLikewise(
      GRPCInferenceServiceStub stub, ModelInferRequest small, ModelInferRequest large) {
    CompletableFuture<String> answered = new CompletableFuture<>();
    CompletableFuture<Status> ended = new CompletableFuture<>();
    StreamObserver<ModelInferRequest> requests =
        stub.modelStreamInfer(
            new StreamObserver<>() {
              @Override
              public void onNext(ModelStreamInferResponse response) {
                answered.complete(response.getInferResponse().getModelName());
              }

              @Override
              public void onError(Throwable thrown) {
                ended.complete(Status.fromThrowable(thrown));
              }

              @Override
              public void onCompleted() {
                ended.complete(Status.OK);
              }
            });
    requests.onNext(small);
    assertThat(answered).succeedsWithin(Duration.ofSeconds(30)).isEqualTo("sum");
    requests.onNext(large);
    assertThat(ended)
        .succeedsWithin(Duration.ofSeconds(60))
        .satisfies(status -> {
          assertThat(status.getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
          assertThat(status.getDescription())
              .startsWith("the server has no memory for the request");
        });
  }

  @Test
  void bodiesThatDoNotFit_areRefused_andCostOthersNothing() throws Exception {
    Path model = SumModels.write(directory, "sum", "");
    byte[] body = new byte[SIZE];
    Arrays.fill(body, (byte) ' ');
    byte[] request = SumModels.REQUEST.getBytes(US_ASCII);
    System.arraycopy(request, 0, body, SIZE - request.length, request.length);
    int most = SIZE - (1 << 20);

    List<RawClient> clients = new ArrayList<>();
    try (ServerProcess server = ServerProcess.serve("--warm-up=false", model.toString())) {
      int port = Integer.parseInt(server.await("Ready.*http://localhost:(\\d+) ").group(1));
      for (int i = 0; i < CLIENTS; i++) {
        RawClient client = new RawClient(port);
        clients.add(client);
        client.send(
            "POST " + INFER + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + SIZE + "\r\n\r\n");
        client.send(Arrays.copyOf(body, most));
      }
      assertThat(RestClient.post(port, INFER, SumModels.REQUEST).status()).isEqualTo(200);
      assertGrpcLikewise(port);

      List<Integer> statuses = new ArrayList<>();
      for (RawClient client : clients) {
        client.send(Arrays.copyOfRange(body, most, SIZE));
        Response response = client.read();
        statuses.add(response.status());
        if (response.status() == 429) {
          assertThat(response.body()).contains("the server has no memory for the request");
          assertThat(response.header("Retry-After")).isEqualTo("1");
        }
      }
      assertThat(statuses).containsOnly(200, 429);

      // A connection whose request was refused goes on.
      RawClient refused = clients.get(statuses.indexOf(429));
      assertThat(refused.post(INFER, SumModels.REQUEST).read().status()).isEqualTo(200);
    } finally {
      for (RawClient client : clients) {
        client.close();
      }
    }
  }
}

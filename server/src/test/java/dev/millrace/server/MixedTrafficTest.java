package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.BufferPool;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub;
import dev.millrace.proto.inference.InferTensorContents;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.runtime.Backends;
import dev.millrace.server.RestClient.Answer;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Good and bad requests over both protocols at once: each good one is answered right, each bad one
 * gets its error, and nothing stays behind.
 */
@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
@Timeout(value = 3, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class MixedTrafficTest {
  private static final int ROUNDS = 500;
  private static final int CLIENTS = 16;
  private static final String INFER = "/v2/models/lookup/infer";

  /** Each with what its error has to say. */
  private static final List<List<String>> BAD_BODIES =
      List.of(
          List.of("{\"inputs\":[", "failed to parse the request JSON buffer"),
          List.of("{}", "inputs"),
          List.of(request("INDEX", "INT64", "[1]", "[7]"), "out of"),
          List.of(request("INDEX", "INT64", "[2]", "[1]"), "shape"),
          List.of(request("INDEX", "INT64", "[1]", "[1,2]"), "shape"),
          List.of(request("INDEX", "INT64", "[1,1]", "[1]"), "unexpected shape"),
          List.of(request("INDEX", "INT32", "[1]", "[1]"), "data-type"),
          List.of(request("INDEX", "INT64", "[1]", "[9223372036854775808]"), "INDEX"),
          List.of(request("INDEX", "INT64", "[1]", "[1.5]"), "INDEX"),
          List.of(request("INDEX", "COMPLEX", "[1]", "[1]"), "datatype"),
          List.of(request("OTHER", "INT64", "[1]", "[1]"), "OTHER"),
          List.of(request("INDEX", "INT64", "[-1]", "[1]"), "shape"),
          List.of(request("INDEX", "INT64", "[4294967296,4294967296]", "[1]"), "elements"));

  @TempDir Path directory;

  private static String request(String name, String type, String shape, String data) {
    return "{\"inputs\":[{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":%s,\"data\":%s}]}"
        .formatted(name, type, shape, data);
  }

  @Test
  void goodRequests_areAnsweredRightBesideBadOnes() throws Exception {
    Files.write(directory.resolve("lookup.onnx"), OnnxModels.lookup());
    ServerConfig config = ServerConfig.of(directory.resolve("lookup.onnx")).onFreePorts();
    long before = BufferPool.shared().usedBytes();
    try (MillraceServer server = MillraceServer.start(config, Backends.onClassPath())) {
      traffic(server);
      traffic(server);
      assertThat(server.models().requestsInFlight()).isZero();
    }
    // Not sooner: each runner keeps the memory for its batches, from its first batch on. What an
    // earlier test left to others to free may have come back meanwhile.
    assertThat(BufferPool.shared().usedBytes()).isLessThanOrEqualTo(before);
  }

  /** As many good as bad requests, {@link #ROUNDS} of each over REST and over gRPC. */
  private static void traffic(MillraceServer server) throws Exception {
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("localhost", server.port()).usePlaintext().build();
    try (ExecutorService threads = Executors.newFixedThreadPool(2 * CLIENTS)) {
      List<Future<Void>> clients = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        Random random = new Random(i);
        clients.add(threads.submit(rest(server.port(), random)));
        clients.add(
            threads.submit(grpc(GRPCInferenceServiceGrpc.newBlockingStub(channel), random)));
      }
      for (Future<Void> client : clients) {
        client.get();
      }
    } finally {
      channel.shutdownNow();
    }
  }

  private static Callable<Void> rest(int port, Random random) {
    return () -> {
      // One connection: a bad request leaves it usable.
      try (RestClient client = new RestClient(port)) {
        for (int i = 0; i < ROUNDS / CLIENTS + 1; i++) {
          int index = random.nextInt(3);
          Answer good =
              client.call("POST", INFER, request("INDEX", "INT64", "[1]", "[" + index + "]"));
          assertThat(good.status()).as(good.body()).isEqualTo(200);
          assertThat(good.body())
              .contains("\"data\":[%d.0,%d.0]".formatted(2 * index, 2 * index + 1));
          bad(client, random);
        }
      }
      return null;
    };
  }

  private static void bad(RestClient client, Random random) throws IOException {
    List<String> bad = BAD_BODIES.get(random.nextInt(BAD_BODIES.size()));
    Answer answer = client.call("POST", INFER, bad.get(0));
    assertThat(answer.status()).as(bad + " " + answer.body()).isBetween(400, 499);
    assertThat(answer.body()).startsWith("{\"error\":\"").contains(bad.get(1));
    assertThat(answer.last()).as(bad.get(0)).isFalse();
  }

  private static Callable<Void> grpc(GRPCInferenceServiceBlockingStub stub, Random random) {
    return () -> {
      for (int i = 0; i < ROUNDS / CLIENTS + 1; i++) {
        int index = random.nextInt(3);
        assertThat(
                stub.modelInfer(request("INDEX", "INT64", 1, index))
                    .getOutputs(0)
                    .getContents()
                    .getFp32ContentsList())
            .containsExactly(2f * index, 2f * index + 1);
        bad(stub, random);
      }
      return null;
    };
  }

  private static void bad(GRPCInferenceServiceBlockingStub stub, Random random) {
    ModelInferRequest request =
        switch (random.nextInt(6)) {
          case 0 -> request("INDEX", "INT64", 1, 7);
          case 1 -> request("INDEX", "INT64", 2, 1);
          case 2 -> request("INDEX", "INT32", 1, 1);
          case 3 -> request("INDEX", "COMPLEX", 1, 1);
          case 4 -> request("OTHER", "INT64", 1, 1);
          default -> ModelInferRequest.newBuilder().setModelName("lookup").build();
        };
    try {
      throw new AssertionError("answered: " + stub.modelInfer(request));
    } catch (StatusRuntimeException e) {
      assertThat(e.getStatus().getCode())
          .as(e.getMessage())
          .isEqualTo(Status.Code.INVALID_ARGUMENT);
      assertThat(e.getStatus().getDescription()).isNotEmpty();
    }
  }

  private static ModelInferRequest request(String name, String type, long dim, long value) {
    return ModelInferRequest.newBuilder()
        .setModelName("lookup")
        .addInputs(
            InferInputTensor.newBuilder()
                .setName(name)
                .setDatatype(type)
                .addShape(dim)
                .setContents(InferTensorContents.newBuilder().addInt64Contents(value)))
        .build();
  }
}

package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub;
import dev.millrace.server.RestClient.Answer;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What signals do to the process. */
@Timeout(value = 3, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SignalTest {
  private static final String LISTENING = "http://localhost:(\\d+) .*, localhost:(\\d+) \\(gRPC\\)";
  private static final int CLIENTS = 64;
  private static final String INFER = "/v2/models/sum/infer";

  @TempDir Path directory;

  @Test
  void sigterm_underLoadLosesNoAcceptedRequestAndExitsWithZero() throws Exception {
    Path model = SumModels.write(directory, "sum", "slow 5ms");
    try (ServerProcess server =
            ServerProcess.serve("--warm-up=false", "--max-batch-size=4", model.toString());
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      int port = Integer.parseInt(server.await("Ready.*" + LISTENING).group(1));
      AtomicInteger answered = new AtomicInteger();
      CountDownLatch underLoad = new CountDownLatch(2000);
      AtomicBoolean stopping = new AtomicBoolean();
      Runnable count =
          () -> {
            answered.incrementAndGet();
            underLoad.countDown();
          };
      List<Future<Void>> clients = new ArrayList<>();
      for (int i = 0; i < CLIENTS / 2; i++) {
        clients.add(threads.submit(() -> callRestUntilTold(port, count)));
        clients.add(threads.submit(() -> callGrpcUntilTold(port, count, stopping)));
      }
      assertThat(underLoad.await(1, TimeUnit.MINUTES)).isTrue();

      stopping.set(true);
      server.signal("TERM");

      assertThat(server.exitCode()).isZero();
      for (Future<Void> client : clients) {
        client.get();
      }
      // Nothing was computed that was not also answered.
      assertThat(server.await("rows=(\\d+)").group(1)).isEqualTo(answered.toString());
    }
  }

  /** Calls on one connection until the server says that it closes it; each call has to succeed. */
  private static @Nullable Void callRestUntilTold(int port, Runnable count) throws IOException {
    try (RestClient client = new RestClient(port)) {
      Answer answer;
      do {
        answer = client.call("POST", INFER, SumModels.REQUEST);
        assertThat(answer.status()).as(answer.body()).isEqualTo(200);
        count.run();
      } while (!answer.last());
    }
    return null;
  }

  /** Calls on one connection until there is none to be had any more; every call before succeeds. */
  private static @Nullable Void callGrpcUntilTold(
      int port, Runnable count, AtomicBoolean stopping) {
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("localhost", port).usePlaintext().build();
    try {
      GRPCInferenceServiceBlockingStub stub = GRPCInferenceServiceGrpc.newBlockingStub(channel);
      while (true) {
        assertThat(stub.modelInfer(SumModels.grpcRequest()).getOutputsCount()).isEqualTo(2);
        count.run();
      }
    } catch (StatusRuntimeException e) {
      assertThat(stopping).as(e.toString()).isTrue();
      assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.UNAVAILABLE);
    } finally {
      channel.shutdownNow();
    }
    return null;
  }

  @Test
  void sigint_stopsInOrderAndASecondOneEndsAtOnce() throws Exception {
    Path model = SumModels.write(directory, "sum", "slow 100s");
    try (ServerProcess server = ServerProcess.serve("--warm-up=false", model.toString());
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      int port = Integer.parseInt(server.await("Ready.*" + LISTENING).group(1));
      Future<Answer> unanswered =
          threads.submit(() -> RestClient.post(port, INFER, SumModels.REQUEST));
      awaitInFlight(port);

      server.signal("INT");
      server.await("SIGINT: stopping");
      server.signal("INT");

      assertThat(server.exitCode()).isEqualTo(130);
      unanswered.cancel(true);
    }
  }

  private static void awaitInFlight(int port) throws IOException {
    while (!RestClient.get(port, "/metrics").body().contains("millrace_requests_in_flight 1")) {
      Thread.onSpinWait();
    }
  }

  @Test
  void sigterm_whileLoadingExitsWithZero() throws Exception {
    Path model = SumModels.write(directory, "sum", "load 100s");
    try (ServerProcess server = ServerProcess.serve(model.toString())) {
      int port = Integer.parseInt(server.await("Listening on " + LISTENING).group(1));
      assertThat(RestClient.get(port, "/v2/health/live").status()).isEqualTo(200);
      assertThat(RestClient.get(port, "/v2/health/ready").status()).isEqualTo(503);

      server.signal("TERM");

      server.await("SIGTERM while loading");
      assertThat(server.exitCode()).isZero();
    }
  }
}

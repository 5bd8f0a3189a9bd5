package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.server.RestClient.Answer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What signals do to the process. */
@Timeout(value = 3, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SignalTest {
  private static final String LISTENING = "http://localhost:(\\d+) .*, localhost:(\\d+) \\(gRPC\\)";
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
      CountDownLatch underLoad = new CountDownLatch(1000);
      List<Future<Void>> clients = new ArrayList<>();
      for (int i = 0; i < 64; i++) {
        clients.add(
            threads.submit(() -> {
              callUntilTold(port, answered, underLoad);
              return null;
            }));
      }
      underLoad.await();

      server.signal("TERM");

      assertThat(server.exitCode()).isZero();
      for (Future<Void> client : clients) {
        client.get();
      }
      assertThat(server.await("rows=(\\d+)").group(1)).isEqualTo(answered.toString());
    }
  }

  /** Calls on one connection until the server says that it closes it; each call has to succeed. */
  private static void callUntilTold(int port, AtomicInteger answered, CountDownLatch underLoad)
      throws IOException {
    try (RestClient client = new RestClient(port)) {
      Answer answer;
      do {
        answer = client.call("POST", INFER, SumModels.REQUEST);
        assertThat(answer.status()).as(answer.body()).isEqualTo(200);
        answered.incrementAndGet();
        underLoad.countDown();
      } while (!answer.last());
    }
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

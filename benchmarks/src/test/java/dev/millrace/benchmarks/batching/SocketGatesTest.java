package dev.millrace.benchmarks.batching;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.benchmarks.batching.KnownServer.Model;
import dev.millrace.benchmarks.known.KnownModel;
import dev.millrace.benchmarks.known.LatencyCurve;
import dev.millrace.benchmarks.load.Arrivals;
import dev.millrace.benchmarks.load.LoadClient;
import dev.millrace.benchmarks.load.LoadRequest;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * The batcher's gates on sockets, with bounds for a machine that does other things too: each is
 * measured again until the median of its rounds is good enough. {@code benchmarks/batching}
 * measures them strictly.
 */
class SocketGatesTest {
  private static final int MOST_ROUNDS = 3;
  private static final double SECONDS = 0.5;
  private static final LatencyCurve CURVE =
      LatencyCurve.affine(Duration.ofMillis(1), Duration.ofNanos(10_000));

  private static LoadClient client;
  private static SocketGates gates;

  @BeforeAll
  static void start() {
    client = new LoadClient();
    gates = new SocketGates(client);
  }

  @AfterAll
  static void stop() {
    client.close();
  }

  @Test
  void g1_lowLoad_isAsFastAsUnbatched() throws IOException {
    assertAtMost(gates.lowLoad(50), 1.15);
  }

  @Test
  void g2_closedLoop_keepsUpWithTheBestFixedSetting() throws IOException {
    LatencyCurve flat = LatencyCurve.affine(Duration.ofMillis(8), Duration.ofNanos(60_000));
    assertAtLeast(gates.closedLoop(flat, "", 16), 0.85);
  }

  @Test
  void g3_modelWithoutGain_isNotSlowerThanUnbatched() throws IOException {
    assertAtMost(gates.noGainOpen(), 1.4);
  }

  @Test
  void g4_overload_isAnsweredAtTheCapacity() throws IOException {
    assertAtLeast(gates.overload(2, Arrivals.POISSON, 0.9), 0.7);
  }

  @Test
  void g5_slowerEngine_isAdaptedTo() throws IOException {
    assertAtLeast(gates.slowerStep(), 0.75);
  }

  @Test
  void g6_twoModels_shareTheDevice() throws IOException {
    assertAtMost(gates.shares(), 0.2);
  }

  @Test
  void g8_cancelledRequests_areNotRun() throws IOException, InterruptedException {
    try (KnownServer server = KnownServer.start(new Model("known", CURVE))) {
      KnownModel model = server.model("known");
      model.hold();
      List<Socket> sockets = new ArrayList<>();
      try {
        sockets.add(send(server.request("known")));
        await(() -> running(server) == 1);
        long before = model.rows();
        for (int i = 0; i < 200; i++) {
          sockets.add(send(server.request("known")));
        }
        await(() -> queued(server) == 200);
        for (int i = 1; i <= 200; i += 2) {
          sockets.get(i).close();
        }
        await(() -> queued(server) == 100);
        model.release();
        assertThat(status(sockets.getFirst())).isEqualTo(200);
        for (int i = 2; i <= 200; i += 2) {
          assertThat(status(sockets.get(i))).isEqualTo(200);
        }
        await(() -> running(server) == 0);
        assertThat(model.rows() - before).isEqualTo(101);
      } finally {
        model.release();
        for (Socket socket : sockets) {
          socket.close();
        }
      }
    }
  }

  @Test
  void g9_poisonRow_failsAlone() throws IOException, InterruptedException {
    try (KnownServer server = KnownServer.start(new Model("known", CURVE))) {
      KnownModel model = server.model("known");
      model.hold();
      List<Socket> sockets = new ArrayList<>();
      try {
        sockets.add(send(server.request("known")));
        await(() -> running(server) == 1);
        for (int i = 0; i < 64; i++) {
          float first = i == 37 ? KnownModel.POISON : i;
          sockets.add(send(server.request("known", first, Duration.ZERO)));
        }
        await(() -> queued(server) == 64);
        long before = model.runs();
        model.release();
        for (int i = 0; i <= 64; i++) {
          assertThat(status(sockets.get(i))).as("request %d", i).isEqualTo(i == 38 ? 400 : 200);
        }
        // The one that ran alone; then 64 at once, and twice for each time that they are halved, or
        // smaller batches, of which one is halved less often.
        assertThat(model.runs() - before).isLessThanOrEqualTo(1 + 1 + 2 * 6 + 1);
      } finally {
        model.release();
        for (Socket socket : sockets) {
          socket.close();
        }
      }
    }
  }

  private static void assertAtMost(Gate gate, double bound) throws IOException {
    List<Double> figures = gate.until(figure -> figure <= bound, MOST_ROUNDS, SECONDS);
    assertThat(BatchingReport.median(figures))
        .as("%s %s, rounds %s", gate.name(), gate.what(), figures)
        .isLessThanOrEqualTo(bound);
  }

  private static void assertAtLeast(Gate gate, double bound) throws IOException {
    List<Double> figures = gate.until(figure -> figure >= bound, MOST_ROUNDS, SECONDS);
    assertThat(BatchingReport.median(figures))
        .as("%s %s, rounds %s", gate.name(), gate.what(), figures)
        .isGreaterThanOrEqualTo(bound);
  }

  private static double queued(KnownServer server) {
    return server.view().metric("millrace_queue_requests", "known");
  }

  private static double running(KnownServer server) {
    return server.view().metric("millrace_batches_running", "known");
  }

  private static Socket send(LoadRequest request) throws IOException {
    Socket socket = new Socket(request.server().getAddress(), request.server().getPort());
    byte[] bytes = new byte[request.bytes().readableBytes()];
    request.bytes().duplicate().readBytes(bytes);
    socket.getOutputStream().write(bytes);
    return socket;
  }

  private static int status(Socket socket) throws IOException {
    BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
    return Integer.parseInt(requireNonNull(reader.readLine()).split(" ", -1)[1]);
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime() - end).as("waited for 30 s").isNegative();
      TimeUnit.MILLISECONDS.sleep(2);
    }
  }
}

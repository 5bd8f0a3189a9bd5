package dev.millrace.server.grpc;

import static dev.millrace.server.grpc.GrpcFixture.floats;
import static dev.millrace.server.grpc.GrpcFixture.raw;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.server.http.Await;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class SharedPortTest {
  private static final String PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  private static final byte[] EMPTY_SETTINGS = {0, 0, 0, 4, 0, 0, 0, 0, 0};

  @TempDir private Path root;

  private static ModelInferResponse infer(ManagedChannel channel, float value) {
    return GRPCInferenceServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(20, TimeUnit.SECONDS)
        .modelInfer(floats(value));
  }

  /** The answer to one request over HTTP/1.1 on a connection that is kept. */
  private static String post(RawClient client, float value) throws IOException {
    client.post(
        "/v2/models/echo_fp32/infer",
        "{\"inputs\":[{\"name\":\"IN\",\"datatype\":\"FP32\",\"shape\":[1,1],\"data\":[%s]}]}"
            .formatted(value));
    return client.read().body();
  }

  @Test
  void manyConnectionsOfBothProtocols_areServedOnOnePort() throws Exception {
    try (GrpcFixture fixture = GrpcFixture.start(root);
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> clients = new ArrayList<>();
      for (int i = 0; i < 32; i++) {
        int first = i * 100;
        clients.add(threads.submit(() -> inferOverGrpc(fixture.server.port(), first)));
        clients.add(threads.submit(() -> inferOverHttp(fixture.server.port(), first)));
      }
      for (Future<?> client : clients) {
        assertThat(client).succeedsWithin(Duration.ofSeconds(60));
      }
    }
  }

  private static void inferOverGrpc(int port, int first) {
    ManagedChannel channel = GrpcFixture.client(port);
    try {
      for (int value = first; value < first + 20; value++) {
        assertThat(infer(channel, value).getRawOutputContents(0)).isEqualTo(raw(value));
      }
    } finally {
      GrpcFixture.shutDown(channel);
    }
  }

  private static Void inferOverHttp(int port, int first) throws IOException {
    try (RawClient client = new RawClient(port)) {
      for (int value = first; value < first + 20; value++) {
        assertThat(post(client, value)).contains("\"data\":[" + (float) value);
      }
    }
    return null;
  }

  @Test
  void firstBytes_mayArriveOneByOne() throws IOException {
    try (GrpcFixture fixture = GrpcFixture.start(root);
        RawClient http2 = new RawClient(fixture.server.port());
        RawClient http2Only = new RawClient(fixture.server.grpcPort());
        RawClient http1 = new RawClient(fixture.server.port())) {
      for (RawClient client : List.of(http2, http2Only)) {
        for (byte b : PREFACE.getBytes(US_ASCII)) {
          client.send(new byte[] {b});
        }
        client.send(EMPTY_SETTINGS);
        byte[] head = client.socket().getInputStream().readNBytes(9);
        assertThat(head[3]).as("a SETTINGS frame").isEqualTo((byte) 4);
      }
      for (byte b : "PUT /v2 HTTP/1.1\r\nHost: h\r\n\r\n".getBytes(US_ASCII)) {
        http1.send(new byte[] {b});
      }
      assertThat(http1.read().status()).isEqualTo(405);
    }
  }

  @Test
  void garbage_closesItsConnectionOnly() throws IOException {
    Random random = new Random(7);
    try (GrpcFixture fixture = GrpcFixture.start(root)) {
      for (int port : new int[] {fixture.server.port(), fixture.server.grpcPort()}) {
        for (int i = 0; i < 50; i++) {
          byte[] garbage = new byte[1 + random.nextInt(2000)];
          random.nextBytes(garbage);
          // Half of them begin as HTTP/2 does.
          sendAndAwaitClose(port, i % 2 == 0 ? "" : PREFACE, garbage);
        }
      }
      assertThat(infer(fixture.channel, 1).getRawOutputContents(0)).isEqualTo(raw(1));
    }
  }

  private static void sendAndAwaitClose(int port, String start, byte[] garbage) throws IOException {
    try (RawClient client = new RawClient(port)) {
      client.send(start).send(garbage);
      client.socket().shutdownOutput();
      client.socket().getInputStream().readAllBytes();
    } catch (java.net.SocketException reset) {
      assertThat(reset).hasMessageMatching("(?i).*(reset|broken pipe).*");
    }
  }

  @Test
  void http1_isNotServedOnTheGrpcPort() throws IOException {
    try (GrpcFixture fixture = GrpcFixture.start(root);
        RawClient client = new RawClient(fixture.server.grpcPort())) {
      assertThat(client.get("/v2/health/live").isClosedByServer()).isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n"})
  void connectionThatDoesNotShowItsProtocol_isClosed(String start) throws IOException {
    try (GrpcFixture fixture =
            GrpcFixture.start(
                root,
                config ->
                    config.withTransport(
                        config.transport().withDetectionTimeout(Duration.ofMillis(200))));
        RawClient shared = new RawClient(fixture.server.port()).send(start);
        RawClient grpc = new RawClient(fixture.server.grpcPort()).send(start)) {
      assertThat(shared.isClosedByServer()).isTrue();
      assertThat(grpc.isClosedByServer()).isTrue();
    }
  }

  @Test
  void callsInFlight_areAnsweredWhenTheServerStops() throws Exception {
    try (GrpcFixture fixture = GrpcFixture.start(root);
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      fixture.backend.hold();
      List<Future<ModelInferResponse>> calls = new ArrayList<>();
      var stub = GRPCInferenceServiceGrpc.newFutureStub(fixture.channel);
      for (int i = 0; i < 32; i++) {
        calls.add(stub.modelInfer(floats(i)));
      }
      Await.until("all are in", () -> fixture.server.models().requestsInFlight() == 32);
      Future<Boolean> stopped = threads.submit(fixture.server::shutDown);
      int port = fixture.server.port();
      Await.until("the port is free", () -> !accepts(port));
      fixture.backend.release();
      for (int i = 0; i < 32; i++) {
        assertThat(calls.get(i).get(10, TimeUnit.SECONDS).getRawOutputContents(0))
            .isEqualTo(raw(i));
      }
      assertThat(stopped.get(20, TimeUnit.SECONDS)).isTrue();
    }
  }

  private static boolean accepts(int port) {
    try (RawClient client = new RawClient(port)) {
      return client.socket().isConnected();
    } catch (IOException refused) {
      return false;
    }
  }

  @Test
  void stopUnderLoad_losesNoCallThatRan() throws Exception {
    AtomicInteger answered = new AtomicInteger();
    AtomicInteger sent = new AtomicInteger();
    int ran;
    try (GrpcFixture fixture = GrpcFixture.start(root);
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      fixture.backend.entered.drainPermits();
      List<Future<?>> clients = new ArrayList<>();
      IntFunction<Runnable> client = port -> () -> inferUntilRefused(port, sent, answered);
      for (int i = 0; i < 8; i++) {
        clients.add(threads.submit(client.apply(fixture.server.port())));
        clients.add(threads.submit(client.apply(fixture.server.grpcPort())));
      }
      Await.until("there is load", () -> answered.get() > 300);
      assertThat(fixture.server.shutDown()).isTrue();
      for (Future<?> done : clients) {
        assertThat(done).succeedsWithin(Duration.ofSeconds(20));
      }
      ran = fixture.backend.entered.drainPermits();
    }
    assertThat(answered.get()).isEqualTo(ran);
    assertThat(sent.get() - answered.get()).as("one refusal a client").isEqualTo(16);
  }

  private static void inferUntilRefused(int port, AtomicInteger sent, AtomicInteger answered) {
    ManagedChannel channel = GrpcFixture.client(port);
    try {
      for (int i = 0; ; i++) {
        sent.incrementAndGet();
        assertThat(infer(channel, i).getRawOutputContents(0)).isEqualTo(raw(i));
        answered.incrementAndGet();
      }
    } catch (StatusRuntimeException e) {
      assertThat(e.getStatus().getCode()).as(e.toString()).isEqualTo(Status.Code.UNAVAILABLE);
    } finally {
      GrpcFixture.shutDown(channel);
    }
  }
}

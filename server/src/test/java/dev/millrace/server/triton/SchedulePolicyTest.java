package dev.millrace.server.triton;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.proto.inference.InferParameter;
import dev.millrace.server.http.Await;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient;
import dev.millrace.server.v2.TestBackend;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.micrometer.core.instrument.Gauge;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The parameters {@code priority} and {@code timeout}. */
@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class SchedulePolicyTest {
  private static final String GATED = "/v2/models/gated_simple/infer";

  private static TritonFixture fixture;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    TestBackend.repository(
        repository, "identity_fp32", "gated_simple", "gated_levels_simple", "gated_sizes_simple");
    TritonFixture.write(
        repository,
        "gated_simple/model.yaml",
        """
        warm-up: false
        instances: 1
        max-batch-size: 1
        batch-policy: greedy
        """);
    TritonFixture.write(
        repository,
        "gated_levels_simple/config.pbtxt",
        """
        max_batch_size: 1
        instance_group { count: 1 kind: KIND_CPU }
        dynamic_batching {
          priority_levels: 2
          default_priority_level: 2
          priority_queue_policy {
            key: 1
            value { max_queue_size: 1 default_timeout_microseconds: 2000 }
          }
        }
        """);
    TritonFixture.write(
        repository,
        "gated_sizes_simple/config.pbtxt",
        """
        max_batch_size: 8
        instance_group { count: 1 kind: KIND_CPU }
        dynamic_batching { preferred_batch_size: [ 2, 6 ] }
        """);
    TritonFixture.write(repository, "gated_sizes_simple/model.yaml", "batch-policy: fixed\n");
    fixture = new TritonFixture(repository);
  }

  @AfterAll
  static void stop() throws IOException {
    fixture.close();
  }

  private static String with(String parameters) {
    return TritonFixture.SIMPLE
        .replaceAll("}$", ",'parameters':{%s}}".formatted(parameters))
        .replace('\'', '"');
  }

  /**
   * A request is counted just before it is queued, by the event loop that has read it: what each
   * loop answers next comes after.
   */
  private static void awaitQueued(String model, int requests) throws IOException {
    Gauge queued =
        fixture.server.meters().get("millrace.queue.requests").tag("model", model).gauge();
    Await.until(requests + " wait", () -> queued.value() == requests);
    for (int i = 0; i < 2 * Runtime.getRuntime().availableProcessors(); i++) {
      try (RawClient next = new RawClient(fixture.server.port())) {
        assertThat(next.get("/v2/health/live").read().status()).isEqualTo(200);
      }
    }
  }

  @Test
  void timeout_isInMicroseconds_andEndsTheWait() throws IOException {
    int runsBefore = fixture.backend.gated.get();
    try (RawClient running = new RawClient(fixture.server.port());
        RawClient late = new RawClient(fixture.server.port())) {
      running.post(GATED, with("'priority':1"));
      Await.until("it runs", () -> fixture.backend.gated.get() == runsBefore + 1);
      late.post(GATED, with("'timeout':2000"));

      assertThat(late.read().status()).isEqualTo(504);
      fixture.backend.gate.release();
      assertThat(running.read().status()).isEqualTo(200);
    }
  }

  @Test
  void priority_goesFirst() throws IOException {
    int runsBefore = fixture.backend.gated.get();
    try (RawClient running = new RawClient(fixture.server.port());
        RawClient low = new RawClient(fixture.server.port());
        RawClient high = new RawClient(fixture.server.port())) {
      running.post(GATED, with(""));
      Await.until("it runs", () -> fixture.backend.gated.get() == runsBefore + 1);
      low.post(GATED, with("'priority':1000"));
      awaitQueued("gated_simple", 1);
      high.post(GATED, with("'priority':1"));
      awaitQueued("gated_simple", 2);
      fixture.backend.gate.release(2);

      assertThat(running.read().status()).isEqualTo(200);
      assertThat(high.read().status()).isEqualTo(200);
      Await.until("the last runs", () -> fixture.backend.gated.get() == runsBefore + 3);
      fixture.backend.gate.release();
      assertThat(low.read().status()).isEqualTo(200);
    }
  }

  /** Level 1 waits for 2 ms unless it says more, and one at a time; who names no level has 2. */
  @Test
  void levels_haveTheirOrder_theirTimeOut_andTheirLimit() throws IOException {
    String model = "gated_levels_simple";
    String path = "/v2/models/" + model + "/infer";
    int runsBefore = fixture.backend.gated.get();
    try (RawClient running = new RawClient(fixture.server.port());
        RawClient usual = new RawClient(fixture.server.port());
        RawClient late = new RawClient(fixture.server.port());
        RawClient first = new RawClient(fixture.server.port());
        RawClient tooMany = new RawClient(fixture.server.port())) {
      running.post(path, with(""));
      Await.until("it runs", () -> fixture.backend.gated.get() == runsBefore + 1);
      usual.post(path, with(""));
      awaitQueued(model, 1);
      late.post(path, with("'priority':1"));
      assertThat(late.read().status()).isEqualTo(504);
      first.post(path, with("'priority':1,'timeout':60000000"));
      awaitQueued(model, 2);
      tooMany.post(path, with("'priority':1,'timeout':60000000"));
      assertThat(tooMany.read().status()).isEqualTo(429);

      fixture.backend.gate.release(2);
      assertThat(running.read().status()).isEqualTo(200);
      assertThat(first.read().status()).isEqualTo(200);
      Await.until("the last runs", () -> fixture.backend.gated.get() == runsBefore + 3);
      fixture.backend.gate.release();
      assertThat(usual.read().status()).isEqualTo(200);
    }
  }

  @Test
  void batchThatReachesAPreferredSize_isCutToIt() throws IOException {
    String model = "gated_sizes_simple";
    String path = "/v2/models/" + model + "/infer";
    int runsBefore = fixture.backend.gated.get();
    try (RawClient running = new RawClient(fixture.server.port());
        RawClient a = new RawClient(fixture.server.port());
        RawClient b = new RawClient(fixture.server.port());
        RawClient c = new RawClient(fixture.server.port())) {
      running.post(path, with(""));
      Await.until("it runs", () -> fixture.backend.gated.get() == runsBefore + 1);
      a.post(path, with(""));
      b.post(path, with(""));
      awaitQueued(model, 2);
      c.post(path, with(""));
      awaitQueued(model, 3);

      fixture.backend.gate.release(2);
      assertThat(running.read().status()).isEqualTo(200);
      assertThat(a.read().status()).isEqualTo(200);
      assertThat(b.read().status()).isEqualTo(200);
      Await.until("the third runs alone", () -> fixture.backend.gated.get() == runsBefore + 3);
      fixture.backend.gate.release();
      assertThat(c.read().status()).isEqualTo(200);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'priority':-1   | [request id: <id_unknown>] parameter 'priority' must not be negative, got -1",
        "'priority':'1'  | invalid value type for 'priority' parameter, expected int64_param.",
        "'priority':1.5  | invalid value type for 'priority' parameter, expected int64_param.",
        "'priority':true | invalid value type for 'priority' parameter, expected int64_param.",
        "'timeout':-5    | [request id: <id_unknown>] parameter 'timeout' must not be negative, got -5",
        "'timeout':'5ms' | invalid value type for 'timeout' parameter, expected int64_param.",
        "'timeout':0.5   | invalid value type for 'timeout' parameter, expected int64_param.",
        "'timeout':1e300 | invalid value type for 'timeout' parameter, expected int64_param.",
      })
  void valueThatIsNone_isRefused(String parameters, String message) throws IOException {
    var response =
        fixture.post(
            "/v2/models/identity_fp32/infer",
            "{'parameters':{%s},'inputs':[{'name':'INPUT0','shape':[1,1],'datatype':'FP32','data':[1]}]}"
                .formatted(parameters));

    assertThat(response.body()).isEqualTo("{\"error\":\"%s\"}".formatted(message));
    assertThat(response.status()).isEqualTo(400);
  }

  private static void assertRefused(String key, InferParameter value) {
    assertThatThrownBy(() ->
            fixture
                .stub()
                .modelInfer(TritonFixture.floats("", 1, 2).putParameters(key, value).build()))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> {
              assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
              assertThat(e.getStatus().getDescription()).contains("'" + key + "'");
            });
  }

  @Test
  void values_overGrpc() {
    var priority = InferParameter.newBuilder().setUint64Param(2).build();
    var timeout = InferParameter.newBuilder().setInt64Param(60_000_000).build();
    assertThat(
            fixture
                .stub()
                .modelInfer(
                    TritonFixture.floats("7", 1, 2)
                        .putParameters("priority", priority)
                        .putParameters("timeout", timeout)
                        .build())
                .getId())
        .isEqualTo("7");

    assertRefused("priority", InferParameter.newBuilder().setInt64Param(-1).build());
    assertRefused("priority", InferParameter.newBuilder().setStringParam("1").build());
    assertRefused("timeout", InferParameter.newBuilder().setDoubleParam(1).build());
    assertRefused("timeout", InferParameter.newBuilder().setInt64Param(-1).build());
  }
}

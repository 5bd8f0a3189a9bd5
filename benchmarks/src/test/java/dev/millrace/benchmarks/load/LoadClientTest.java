package dev.millrace.benchmarks.load;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.known.KnownBackend;
import dev.millrace.benchmarks.known.KnownModel;
import dev.millrace.benchmarks.known.LatencyCurve;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LoadClientTest {
  private static final LoadWindow SHORT = LoadWindow.ofSeconds(0.1, 0.3);

  private final LoadClient client = new LoadClient();
  private final KnownBackend backend = new KnownBackend();
  @TempDir Path repository;
  private MillraceServer server;

  @BeforeEach
  void start() throws IOException {
    LatencyCurve curve = LatencyCurve.affine(Duration.ofMillis(2), Duration.ofMillis(1));
    KnownBackend.write(repository, "known", curve, "");
    server = MillraceServer.start(ServerConfig.of(repository).onFreePorts(), List.of(backend));
    awaitAnswer();
  }

  /** The first answer may take longer than the window of a test. */
  private void awaitAnswer() {
    LoadResult result;
    do {
      result = client.run(request("known", Duration.ZERO), Load.ClosedLoop.of(1), SHORT);
    } while (result.ok() == 0 && result.failure().isEmpty());
  }

  @AfterEach
  void stop() {
    client.close();
    server.close();
  }

  @Test
  void closedLoop_isAnsweredAndCounted() {
    LoadResult result = client.run(request("known", Duration.ZERO), Load.ClosedLoop.of(4), SHORT);
    assertThat(result.failure()).isEmpty();
    assertThat(result.ok()).isPositive().isEqualTo(result.requests()).isEqualTo(result.inTime());
    assertThat(result.statuses()).isEqualTo(Map.of(200, result.ok()));
    assertThat(result.latency().getTotalCount()).isEqualTo(result.ok());
    // No batch takes less than 3 ms.
    assertThat(result.latency().getMinValue()).isGreaterThanOrEqualTo(2_990_000);
    assertThat(result.clientCpuNanos()).isNotNegative();
  }

  @Test
  void closedLoop_thinking_asksLess() {
    Load.ClosedLoop thinking = new Load.ClosedLoop(1, Duration.ofMillis(50));
    LoadResult result = client.run(request("known", Duration.ZERO), thinking, SHORT);
    assertThat(result.ok()).isBetween(1L, 7L);
  }

  @Test
  void openLoop_asksAsOftenAsScheduled() {
    Load load = new Load.OpenLoop(Arrivals.CONSTANT, 100, 1, 16);
    LoadResult result = client.run(request("known", Duration.ZERO), load, SHORT);
    assertThat(result.failure()).isEmpty();
    assertThat(result.requests()).isEqualTo(30);
    assertThat(result.ok()).isEqualTo(30);
    assertThat(result.waited()).isZero();
  }

  @Test
  void openLoop_withTooFewConnections_countsFromWhenRequestsWereDue() {
    Load load = new Load.OpenLoop(Arrivals.CONSTANT, 1000, 1, 1);
    LoadResult result = client.run(request("known", Duration.ZERO), load, SHORT);
    assertThat(result.requests()).isEqualTo(300);
    assertThat(result.fellBehind()).isTrue();
    // 3 ms each, asked for every 1 ms: the last one waits for two thirds of all.
    assertThat(result.latency().getMaxValue()).isGreaterThan(500_000_000);
  }

  @Test
  void openLoop_withDeadlinesBeyondCapacity_isNotAllInTime() {
    // At most 64 rows in 66 ms.
    Load load = new Load.OpenLoop(Arrivals.POISSON, 3000, 1, 256);
    LoadResult result = client.run(request("known", Duration.ofMillis(20)), load, SHORT);
    assertThat(result.failure()).isEmpty();
    assertThat(result.inTime()).isLessThanOrEqualTo(result.ok());
    assertThat(result.ok()).isLessThan(result.requests());
    assertThat(result.failures()).isPositive();
    assertThat(result.goodput()).isLessThan(1000);
  }

  @Test
  void unknownModel_isCountedByStatus() {
    LoadResult result = client.run(request("other", Duration.ZERO), Load.ClosedLoop.of(1), SHORT);
    assertThat(result.ok()).isZero();
    assertThat(result.statuses()).containsOnlyKeys(404);
  }

  @Test
  void brokenConnections_areCountedAndReplaced() {
    LoadResult result =
        client
            .start(
                request("known", Duration.ZERO), Load.ClosedLoop.of(2), LoadWindow.ofSeconds(0, 1))
            .join();
    assertThat(result.lost()).isZero();
    assertThat(result.toJson()).startsWith("{\"seconds\":1.000,\"requests\":").endsWith("}}");
    assertThat(result.toTsv().split("\t", -1))
        .hasSameSizeAs(LoadResult.tsvHeader().split("\t", -1));
  }

  private LoadRequest request(String model, Duration timeout) {
    try (TensorMap row = KnownModel.row(1)) {
      return LoadRequest.of(server.port(), model, row, timeout);
    }
  }
}

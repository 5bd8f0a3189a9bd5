package dev.millrace.server.triton;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.util.JsonFormat;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub;
import dev.millrace.proto.inference.ModelConfig;
import dev.millrace.proto.inference.ModelConfigRequest;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.proto.inference.ModelMetadataRequest;
import dev.millrace.proto.inference.ModelMetadataResponse;
import dev.millrace.proto.inference.ModelReadyRequest;
import dev.millrace.proto.inference.ModelStatistics;
import dev.millrace.proto.inference.ModelStatisticsRequest;
import dev.millrace.proto.inference.ModelStatisticsResponse;
import dev.millrace.proto.inference.ServerMetadataRequest;
import dev.millrace.proto.inference.StatisticDuration;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient;
import dev.millrace.server.v2.TestBackend;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Asks for what {@code perf_analyzer} asks for: metadata, configuration, the statistics, a window
 * of load, the statistics again. It makes requests from the metadata and the configuration alone,
 * and reports the differences of the statistics.
 */
@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class PerformanceToolTest {
  private static final String MODEL = "simple";
  private static final int CLIENTS = 8;
  private static final int REQUESTS_EACH = 50;

  private static TritonFixture fixture;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    fixture = new TritonFixture(TestBackend.repository(repository, MODEL));
  }

  @AfterAll
  static void stop() throws IOException {
    fixture.close();
  }

  /** The two ways in which the tool talks to a server. */
  enum Way {
    HTTP {
      @Override
      ModelMetadataResponse metadata() throws IOException {
        assertThat(fixture.get("/v2").body()).contains("\"statistics\"", "\"model_configuration\"");
        assertThat(fixture.get("/v2/models/simple/ready").status()).isEqualTo(200);
        return parse("/v2/models/simple", ModelMetadataResponse.newBuilder()).build();
      }

      @Override
      ModelConfig configuration() throws IOException {
        return parse("/v2/models/simple/config", ModelConfig.newBuilder()).build();
      }

      @Override
      ModelStatistics statistics() throws IOException {
        return parse("/v2/models/simple/stats", ModelStatisticsResponse.newBuilder())
            .getModelStats(0);
      }

      @Override
      void load(ModelInferRequest request) {
        StringBuilder json = new StringBuilder("{\"inputs\":[");
        int size = 0;
        for (InferInputTensor input : request.getInputsList()) {
          int bytes = request.getRawInputContents(size).size();
          json.append(size++ == 0 ? "" : ",")
              .append(
                  "{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":%s,\"parameters\":{\"binary_data_size\":%d}}"
                      .formatted(
                          input.getName(), input.getDatatype(), input.getShapeList(), bytes));
        }
        json.append("],\"parameters\":{\"binary_data_output\":true}}");
        byte[] head = json.toString().getBytes(UTF_8);
        try (RawClient client = new RawClient(fixture.server.port())) {
          for (int i = 0; i < REQUESTS_EACH; i++) {
            int length = head.length + 2 * 64;
            client.send(
                "POST /v2/models/simple/infer HTTP/1.1\r\nHost: h\r\nInference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n"
                    .formatted(head.length, length));
            client.send(head);
            client.send(request.getRawInputContents(0).toByteArray());
            assertThat(client.send(request.getRawInputContents(1).toByteArray()).read().status())
                .isEqualTo(200);
          }
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }
    },
    GRPC {
      @Override
      ModelMetadataResponse metadata() {
        assertThat(
                stub()
                    .serverMetadata(ServerMetadataRequest.getDefaultInstance())
                    .getExtensionsList())
            .contains("statistics", "model_configuration");
        assertThat(
                stub().modelReady(ModelReadyRequest.newBuilder().setName(MODEL).build()).getReady())
            .isTrue();
        return stub().modelMetadata(ModelMetadataRequest.newBuilder().setName(MODEL).build());
      }

      @Override
      ModelConfig configuration() {
        return stub()
            .modelConfig(ModelConfigRequest.newBuilder().setName(MODEL).build())
            .getConfig();
      }

      @Override
      ModelStatistics statistics() {
        return stub()
            .modelStatistics(ModelStatisticsRequest.newBuilder().setName(MODEL).build())
            .getModelStats(0);
      }

      @Override
      void load(ModelInferRequest request) {
        for (int i = 0; i < REQUESTS_EACH; i++) {
          assertThat(stub().modelInfer(request).getRawOutputContentsCount()).isEqualTo(2);
        }
      }
    };

    abstract ModelMetadataResponse metadata() throws IOException;

    abstract ModelConfig configuration() throws IOException;

    abstract ModelStatistics statistics() throws IOException;

    /** Sends requests one after the other. */
    abstract void load(ModelInferRequest request);
  }

  private static GRPCInferenceServiceBlockingStub stub() {
    return GRPCInferenceServiceGrpc.newBlockingStub(fixture.channel);
  }

  private static <B extends com.google.protobuf.Message.Builder> B parse(String path, B message)
      throws IOException {
    JsonFormat.parser().merge(fixture.get(path).body(), message);
    return message;
  }

  /** A request of one row, as large as the configuration says. */
  private static ModelInferRequest request(ModelMetadataResponse metadata, ModelConfig config) {
    ModelInferRequest.Builder request = ModelInferRequest.newBuilder().setModelName(MODEL);
    for (int i = 0; i < config.getInputCount(); i++) {
      var input = config.getInput(i);
      assertThat(input.getOptional()).isFalse();
      assertThat(input.getName()).isEqualTo(metadata.getInputs(i).getName());
      List<Long> shape = new ArrayList<>();
      if (config.getMaxBatchSize() > 0) {
        shape.add(1L);
      }
      shape.addAll(input.getDimsList());
      assertThat(metadata.getInputs(i).getShapeList()).hasSameSizeAs(shape);
      long elements = shape.stream().reduce(1L, (a, b) -> a * b);
      request
          .addInputs(
              InferInputTensor.newBuilder()
                  .setName(input.getName())
                  .setDatatype(metadata.getInputs(i).getDatatype())
                  .addAllShape(shape))
          .addRawInputContents(
              com.google.protobuf.ByteString.copyFrom(new byte[(int) elements * 4]));
    }
    return request.build();
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void windowOfLoad_isWhatTheStatisticsDifferBy(Way way) throws Exception {
    ModelMetadataResponse metadata = way.metadata();
    ModelConfig config = way.configuration();
    assertThat(config.getModelTransactionPolicy().getDecoupled()).isFalse();
    assertThat(config.hasSequenceBatching() || config.hasEnsembleScheduling()).isFalse();
    assertThat(config.getMaxBatchSize()).isEqualTo(8);
    ModelInferRequest request = request(metadata, config);

    ModelStatistics before = way.statistics();
    long start = System.nanoTime();
    load(way, request);
    long elapsed = System.nanoTime() - start;
    ModelStatistics after = way.statistics();

    int requests = CLIENTS * REQUESTS_EACH;
    assertThat(after.getInferenceCount() - before.getInferenceCount()).isEqualTo(requests);
    long executions = after.getExecutionCount() - before.getExecutionCount();
    assertThat(executions).isBetween((long) requests / 8, (long) requests);
    assertThat(difference(before, after, Step.SUCCESS).getCount()).isEqualTo(requests);
    assertThat(difference(before, after, Step.FAIL).getCount()).isZero();
    long steps = 0;
    for (Step step : List.of(Step.QUEUE, Step.INPUT, Step.INFER, Step.OUTPUT)) {
      StatisticDuration time = difference(before, after, step);
      assertThat(time.getCount()).as(step.name()).isEqualTo(requests);
      assertThat(time.getNs()).as(step.name()).isNotNegative();
      steps += time.getNs();
    }
    long success = difference(before, after, Step.SUCCESS).getNs();
    assertThat(success).isBetween(steps, elapsed * CLIENTS);
    assertThat(rowsOf(after) - rowsOf(before)).isEqualTo(requests);
    assertThat(runsOf(after) - runsOf(before)).isEqualTo(executions);
    assertThat(after.getLastInference()).isGreaterThanOrEqualTo(before.getLastInference());
  }

  private static void load(Way way, ModelInferRequest request) throws Exception {
    try (ExecutorService clients = Executors.newFixedThreadPool(CLIENTS)) {
      List<Future<?>> ends = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        ends.add(clients.submit(() -> way.load(request)));
      }
      for (Future<?> end : ends) {
        end.get();
      }
    }
  }

  private static long rowsOf(ModelStatistics statistics) {
    return statistics.getBatchStatsList().stream()
        .mapToLong(batch -> batch.getBatchSize() * batch.getComputeInfer().getCount())
        .sum();
  }

  private static long runsOf(ModelStatistics statistics) {
    return statistics.getBatchStatsList().stream()
        .mapToLong(batch -> batch.getComputeInfer().getCount())
        .sum();
  }

  /** What the tool reports of a request. */
  private enum Step {
    SUCCESS,
    FAIL,
    QUEUE,
    INPUT,
    INFER,
    OUTPUT;

    StatisticDuration of(ModelStatistics statistics) {
      var all = statistics.getInferenceStats();
      return switch (this) {
        case SUCCESS -> all.getSuccess();
        case FAIL -> all.getFail();
        case QUEUE -> all.getQueue();
        case INPUT -> all.getComputeInput();
        case INFER -> all.getComputeInfer();
        case OUTPUT -> all.getComputeOutput();
      };
    }
  }

  private static StatisticDuration difference(
      ModelStatistics before, ModelStatistics after, Step step) {
    StatisticDuration first = step.of(before);
    StatisticDuration second = step.of(after);
    return StatisticDuration.newBuilder()
        .setCount(second.getCount() - first.getCount())
        .setNs(second.getNs() - first.getNs())
        .build();
  }
}

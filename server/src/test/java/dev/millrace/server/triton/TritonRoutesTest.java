package dev.millrace.server.triton;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.util.JsonFormat;
import dev.millrace.proto.inference.DataType;
import dev.millrace.proto.inference.ModelConfig;
import dev.millrace.proto.inference.ModelConfigRequest;
import dev.millrace.proto.inference.ModelInstanceGroup;
import dev.millrace.proto.inference.ModelStatistics;
import dev.millrace.proto.inference.ModelStatisticsRequest;
import dev.millrace.proto.inference.ModelStatisticsResponse;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.server.v2.TestBackend;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Configuration and statistics. */
@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class TritonRoutesTest {
  private static TritonFixture fixture;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    TestBackend.repository(
        repository, "simple", "identity_fp32", "identity_fp16", "identity_bytes", "wild");
    TritonFixture.write(
        repository,
        "simple/model.yaml",
        """
        version-policy: all
        max-queue-delay: 3ms
        queue-limit: 100
        timeout: 5s
        labels: {OUTPUT1: differences.txt}
        """);
    TritonFixture.write(repository, "simple/differences.txt", "none\n");
    TritonFixture.write(
        repository,
        "identity_fp16/config.pbtxt",
        """
        max_batch_size: 4
        input {
          name: "INPUT0"
          data_type: TYPE_FP16
          dims: [ 2, 2 ]
          reshape { shape: [ 4 ] }
        }
        output { name: "OUTPUT0" data_type: TYPE_FP16 dims: [ -1 ] label_filename: "l.txt" }
        dynamic_batching {
          preferred_batch_size: [ 2, 4 ]
          priority_levels: 2
          priority_queue_policy { key: 1 value { max_queue_size: 9 } }
        }
        parameters { key: "team" value { string_value: "blue" } }
        """);
    TritonFixture.write(repository, "identity_fp16/l.txt", "a\nb\n");
    TritonFixture.write(repository, "identity_fp16/1/model.test", "identity_fp16");
    fixture = new TritonFixture(repository);
  }

  @AfterAll
  static void stop() throws IOException {
    fixture.close();
  }

  private static <B extends com.google.protobuf.Message.Builder> B parsed(
      Response response, B message) throws IOException {
    assertThat(response.status()).as(response.body()).isEqualTo(200);
    assertThat(response.header("content-type")).isEqualTo("application/json");
    JsonFormat.parser().merge(response.body(), message);
    return message;
  }

  @Test
  void configuration_isTheSameOverRestAndGrpc() throws IOException {
    for (String model : new String[] {"simple", "identity_fp32", "identity_bytes", "wild"}) {
      ModelConfig rest =
          parsed(fixture.get("/v2/models/" + model + "/config"), ModelConfig.newBuilder()).build();
      ModelConfig grpc =
          fixture
              .stub()
              .modelConfig(ModelConfigRequest.newBuilder().setName(model).build())
              .getConfig();

      assertThat(rest).isEqualTo(grpc);
      assertThat(rest.getName()).isEqualTo(model);
    }
  }

  @Test
  void configuration_saysHowTheModelIsServed() {
    ModelConfig config =
        fixture
            .stub()
            .modelConfig(ModelConfigRequest.newBuilder().setName("simple").setVersion("1").build())
            .getConfig();

    assertThat(config.getPlatform()).isEqualTo("test");
    assertThat(config.getBackend()).isEqualTo("test");
    assertThat(config.getMaxBatchSize()).isEqualTo(8);
    assertThat(config.getVersionPolicy().hasAll()).isTrue();
    assertThat(config.getInput(0).getName()).isEqualTo("INPUT0");
    assertThat(config.getInput(0).getDataType()).isEqualTo(DataType.TYPE_INT32);
    assertThat(config.getInput(0).getDimsList()).containsExactly(16L);
    assertThat(config.getOutput(0).getLabelFilename()).isEmpty();
    assertThat(config.getOutput(1).getLabelFilename()).isEqualTo("differences.txt");
    assertThat(config.getInstanceGroup(0).getKind()).isEqualTo(ModelInstanceGroup.Kind.KIND_CPU);
    assertThat(config.getInstanceGroup(0).getCount()).isPositive();
    assertThat(config.getDynamicBatching().getMaxQueueDelayMicroseconds()).isEqualTo(3000);
    assertThat(config.getDynamicBatching().getDefaultQueuePolicy().getMaxQueueSize())
        .isEqualTo(100);
    assertThat(config.getDynamicBatching().getDefaultQueuePolicy().getDefaultTimeoutMicroseconds())
        .isEqualTo(5_000_000);
    assertThat(config.getModelTransactionPolicy().getDecoupled()).isFalse();
  }

  @Test
  void configuration_showsWhatItsFileSays() {
    ModelConfig config =
        fixture
            .stub()
            .modelConfig(ModelConfigRequest.newBuilder().setName("identity_fp16").build())
            .getConfig();

    assertThat(config.getMaxBatchSize()).isEqualTo(4);
    assertThat(config.getInput(0).getDimsList()).containsExactly(2L, 2L);
    assertThat(config.getInput(0).getReshape().getShapeList()).containsExactly(4L);
    assertThat(config.getOutput(0).getDimsList()).containsExactly(-1L);
    assertThat(config.getOutput(0).hasReshape()).isFalse();
    assertThat(config.getOutput(0).getLabelFilename()).isEqualTo("l.txt");
    assertThat(config.getDynamicBatching().getPreferredBatchSizeList()).containsExactly(2, 4);
    assertThat(config.getDynamicBatching().getPriorityLevels()).isEqualTo(2);
    assertThat(config.getDynamicBatching().getPriorityQueuePolicyOrThrow(1).getMaxQueueSize())
        .isEqualTo(9);
    assertThat(config.getParametersOrThrow("team").getStringValue()).isEqualTo("blue");
  }

  @Test
  void configuration_ofAModelWithoutBatchDimension_hasAllDimensions() {
    ModelConfig config =
        fixture
            .stub()
            .modelConfig(ModelConfigRequest.newBuilder().setName("wild").build())
            .getConfig();

    assertThat(config.getMaxBatchSize()).isZero();
    assertThat(config.getInput(0).getDimsList()).containsExactly(-1L, -1L, -1L);
    assertThat(config.hasDynamicBatching()).isFalse();
  }

  @Test
  void configuration_isWrittenAsTritonWritesIt() throws IOException {
    assertThat(fixture.get("/v2/models/identity_bytes/versions/1/config").body())
        .startsWith(
            ("{'name':'identity_bytes','platform':'test','version_policy':{'latest':{'num_versions':1}},"
                    + "'max_batch_size':8,'input':[{'name':'INPUT0','data_type':'TYPE_STRING','format':'FORMAT_NONE',"
                    + "'dims':[1],'is_shape_tensor':false,'allow_ragged_batch':false,'optional':false,"
                    + "'is_non_linear_format_io':false}],'output':[{'name':'OUTPUT0','data_type':'TYPE_STRING','dims':[1],"
                    + "'label_filename':'','is_shape_tensor':false,'is_non_linear_format_io':false}],"
                    + "'instance_group':[{'name':'identity_bytes',")
                .replace('\'', '"'));
  }

  @Test
  void statistics_countWhatHappened() throws IOException {
    ModelStatistics before = statistics("simple");
    for (int i = 0; i < 5; i++) {
      assertThat(fixture.post("/v2/models/simple/infer", TritonFixture.SIMPLE).status())
          .isEqualTo(200);
    }
    assertThat(fixture.post("/v2/models/simple/infer", "{'inputs':[]}").status()).isEqualTo(400);
    ModelStatistics after = statistics("simple");

    assertThat(after.getInferenceCount() - before.getInferenceCount()).isEqualTo(5);
    assertThat(after.getExecutionCount() - before.getExecutionCount()).isEqualTo(5);
    var stats = after.getInferenceStats();
    assertThat(stats.getSuccess().getCount())
        .isEqualTo(before.getInferenceStats().getSuccess().getCount() + 5);
    assertThat(stats.getFail().getCount())
        .isEqualTo(before.getInferenceStats().getFail().getCount() + 1);
    assertThat(stats.getQueue().getCount()).isEqualTo(stats.getSuccess().getCount());
    assertThat(stats.getComputeInfer().getCount()).isEqualTo(stats.getSuccess().getCount());
    assertThat(stats.getComputeInfer().getNs()).isPositive();
    assertThat(stats.getSuccess().getNs()).isGreaterThan(stats.getComputeInfer().getNs());
    assertThat(after.getBatchStats(0).getBatchSize()).isEqualTo(1);
    assertThat(after.getLastInference()).isPositive();
  }

  private static ModelStatistics statistics(String model) throws IOException {
    ModelStatistics rest =
        parsed(fixture.get("/v2/models/" + model + "/stats"), ModelStatisticsResponse.newBuilder())
            .getModelStats(0);
    ModelStatistics grpc =
        fixture
            .stub()
            .modelStatistics(
                ModelStatisticsRequest.newBuilder().setName(model).setVersion("1").build())
            .getModelStats(0);
    assertThat(rest).isEqualTo(grpc);
    return rest;
  }

  @Test
  void statistics_ofAllModels() throws IOException {
    Response rest = fixture.get("/v2/models/stats");
    ModelStatisticsResponse grpc =
        fixture.stub().modelStatistics(ModelStatisticsRequest.getDefaultInstance());

    assertThat(parsed(rest, ModelStatisticsResponse.newBuilder()).build()).isEqualTo(grpc);
    assertThat(grpc.getModelStatsList())
        .extracting(ModelStatistics::getName)
        .containsExactly("identity_bytes", "identity_fp16", "identity_fp32", "simple", "wild");
    assertThat(rest.body())
        .contains("'last_inference':0,'inference_count':0,".replace('\'', '"'))
        .contains("'cache_hit':{'count':0,'ns':0}".replace('\'', '"'));
  }

  @Test
  void unknownModel_isRefused() throws IOException {
    Response stats = fixture.get("/v2/models/nobody/versions/2/stats");
    assertThat(stats.status()).isEqualTo(400);
    assertThat(stats.body())
        .isEqualTo("{\"error\":\"requested model 'nobody' version 2 is not available\"}");
    assertThat(fixture.get("/v2/models/simple/versions/x/stats").status()).isEqualTo(400);
    assertThat(fixture.get("/v2/models/nobody/config").status()).isEqualTo(404);
    assertThatThrownBy(() ->
            fixture
                .stub()
                .modelStatistics(ModelStatisticsRequest.newBuilder().setName("nobody").build()))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT));
  }
}

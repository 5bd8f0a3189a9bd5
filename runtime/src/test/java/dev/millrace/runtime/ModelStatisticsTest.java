package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
@Timeout(60)
class ModelStatisticsTest {
  private static final ModelId M = ModelId.latest("m");

  @TempDir private Path root;
  private final FakeBackend backend = new FakeBackend();
  private ModelServer server;

  @BeforeEach
  void start() throws IOException {
    Trees.write(root, "m/1/a.fake", "2");
    Trees.write(root, "other/1/a.fake", "3");
    server =
        ModelServer.create(
            RuntimeConfig.of(root).withProcessors(1), List.of(backend), new SimpleMeterRegistry());
    server.models().loadAll(LoadListener.NONE);
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private void infer(float... x) {
    server.infer(Requests.of("m", x)).join().close();
  }

  private ModelStatistics statistics() {
    return server.models().statistics(M).getFirst();
  }

  @Test
  void statistics_areZeroBeforeTheFirstRequest() {
    ModelStatistics none = statistics();

    assertThat(none.id()).isEqualTo(new ModelId("m", "1"));
    assertThat(none.success()).isEqualTo(CountedTime.ZERO);
    assertThat(none.runs()).isZero();
    assertThat(none.lastInferenceMillis()).isZero();
    assertThat(none.batches()).isEmpty();
  }

  @Test
  void statistics_countRequestsRowsAndRuns() {
    infer(1, 2);
    infer(1, 2, 3, 4);
    infer(1, 2, 3, 4);

    ModelStatistics all = statistics();
    assertThat(all.rows()).isEqualTo(5);
    assertThat(all.runs()).isEqualTo(3);
    assertThat(all.success().count()).isEqualTo(3);
    assertThat(all.failure().count()).isZero();
    for (CountedTime time :
        List.of(all.queue(), all.computeInput(), all.computeInfer(), all.computeOutput())) {
      assertThat(time.count()).isEqualTo(3);
    }
    assertThat(all.success().nanos())
        .isGreaterThanOrEqualTo(all.queue().nanos() + all.computeInfer().nanos());
    assertThat(all.computeInfer().nanos()).isPositive();
    assertThat(all.lastInferenceMillis()).isPositive();
    assertThat(all.batches()).extracting(ModelStatistics.OfBatches::rows).containsExactly(1, 2);
    assertThat(all.batches()).extracting(size -> size.infer().count()).containsExactly(1L, 2L);
  }

  @Test
  void failures_countAsSuch() {
    backend.onPredict =
        inputs -> {
          throw InferenceException.invalidArgument("no");
        };
    assertThatThrownBy(() -> infer(1, 2)).hasRootCauseInstanceOf(InferenceException.class);
    assertThatThrownBy(() -> infer(1, 2)).hasRootCauseInstanceOf(InferenceException.class);

    assertThat(statistics().failure().count()).isEqualTo(2);
    assertThat(statistics().success().count()).isZero();
    assertThat(statistics().runs()).isZero();
  }

  @Test
  void statistics_goOnAfterAReload() {
    infer(1, 2);
    server.models().load("m", Map.of()).join();
    infer(1, 2);

    assertThat(statistics().success().count()).isEqualTo(2);

    server.models().unload("m").join();
    server.models().load("m", Map.of()).join();

    assertThat(statistics().success().count()).isEqualTo(2);
  }

  @Test
  void statistics_ofAllOneOrNoModel() {
    assertThat(server.models().statistics())
        .extracting(each -> each.id().name())
        .containsExactly("m", "other");
    assertThat(server.models().statistics(new ModelId("m", "1"))).hasSize(1);
    assertThatThrownBy(() -> server.models().statistics(new ModelId("m", "2")))
        .isInstanceOfSatisfying(
            InferenceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.NOT_FOUND));
    server.models().unload("other").join();
    assertThat(server.models().statistics()).hasSize(1);
  }

  @Test
  void labels_areReadFromTheFileOfTheVersionOrTheModel() throws IOException {
    Trees.write(root, "m/model.yaml", "labels: {Y: y.txt, Z: z.txt}");
    Trees.write(root, "m/y.txt", "cat\ndog\n");
    Trees.write(root, "m/1/z.txt", "Grüße");
    server.models().load("m", Map.of()).join();

    assertThat(server.models().describe(M).labels())
        .isEqualTo(
            Map.of(
                "Y", new LabelFile("y.txt", List.of("cat", "dog")),
                "Z", new LabelFile("z.txt", List.of("Grüße"))));
  }

  @Test
  void labels_thatAreNotThereOrOfNoOutput_failTheLoad() throws IOException {
    Trees.write(root, "m/model.yaml", "labels: {Y: y.txt}");
    assertThatThrownBy(() -> server.models().load("m", Map.of()).join())
        .hasMessageContaining("the file of labels")
        .hasMessageContaining("y.txt");

    Trees.write(root, "m/model.yaml", "labels: {W: y.txt}");
    Trees.write(root, "m/y.txt", "cat");
    assertThatThrownBy(() -> server.models().load("m", Map.of()).join())
        .hasMessageContaining("the model has no output 'W', which labels are given for");
  }
}

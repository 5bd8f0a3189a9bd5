package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Deadline;
import dev.millrace.batcher.policy.GreedyPolicy;
import dev.millrace.testing.TensorLeakExtension;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class HungRunTest {
  private static final Deadline NONE = Deadline.none();

  private final ManualTicker ticker = new ManualTicker();
  private final List<TestPredictor> spares = new CopyOnWriteArrayList<>();
  private final TestPredictor hanging = TestPredictor.gated();

  private Batcher start() {
    return Batcher.of("m", new BatcherConfig(8, 100, 1 << 20), new GreedyPolicy())
        .ticker(ticker)
        .startGroups(
            List.of(
                RunnerGroup.of(List.of(hanging))
                    .withSpares(() -> {
                      spares.add(TestPredictor.echo());
                      return spares.getLast();
                    })));
  }

  @Test
  void runThatDoesNotComeBack_isReplacedAndAnsweredWhenItDoes() {
    try (Batcher batcher = start()) {
      Reply hung = batcher.submit(Inputs.x(1), List.of(), NONE);
      Await.until(() -> hanging.batches.size() == 1);
      Reply waits = batcher.submit(Inputs.x(2), List.of(), NONE);
      assertThat(batcher.hungRuns()).isZero();
      ticker.advance(Duration.ofSeconds(11));
      Reply finder = batcher.submit(Inputs.x(3), List.of(), NONE);

      Await.outputs(waits).close();
      Await.outputs(finder).close();
      assertThat(batcher.hungRuns()).isEqualTo(1);
      assertThat(spares).hasSize(1);
      assertThat(hung.isDone()).isFalse();

      hanging.open();
      assertThat(Inputs.y(Await.outputs(hung))).containsExactly(1f);
      Await.until(() -> hanging.closed.get() == 1);
      assertThat(batcher.hungRuns()).isZero();
      Await.outputs(batcher.submit(Inputs.x(4), List.of(), NONE)).close();
    }
    assertThat(spares.getFirst().closed).hasValue(1);
  }

  @Test
  void close_doesNotWaitForARunThatHangs() {
    Batcher batcher = start();
    Reply hung = batcher.submit(Inputs.x(1), List.of(), NONE);
    Await.until(() -> hanging.batches.size() == 1);
    ticker.advance(Duration.ofSeconds(11));
    batcher.close();
    assertThat(batcher.hungRuns()).isEqualTo(1);
    assertThat(hanging.closed).hasValue(0);
    hanging.open();
    Await.outputs(hung).close();
    Await.until(() -> hanging.closed.get() == 1);
  }

  @Test
  void spare_runsWhereTheLostOneDid() {
    TestPredictor other = TestPredictor.gated();
    RunnerGroup first =
        RunnerGroup.of(List.of(other))
            .withSpares(() -> {
              throw new IllegalStateException("its run does not hang");
            });
    RunnerGroup second =
        RunnerGroup.of(List.of(hanging))
            .withSpares(() -> {
              spares.add(TestPredictor.echo());
              return spares.getLast();
            });
    try (Batcher batcher =
        Batcher.of("m", new BatcherConfig(1, 100, 1 << 20), new GreedyPolicy())
            .ticker(ticker)
            .startGroups(List.of(first, second))) {
      Reply one = batcher.submit(Inputs.x(1), List.of(), NONE);
      Await.until(() -> batcher.runningBatches() == 1);
      Reply two = batcher.submit(Inputs.x(2), List.of(), NONE);
      Await.until(() -> other.batches.size() + hanging.batches.size() == 2);
      other.open();
      Await.until(() -> batcher.runningBatches() == 1);
      ticker.advance(Duration.ofSeconds(11));
      Reply finder = batcher.submit(Inputs.x(3), List.of(), NONE);
      Await.until(() -> spares.size() == 1);
      hanging.open();
      List.of(one, two, finder).forEach(reply -> Await.outputs(reply).close());
    }
    assertThat(spares.getFirst().closed).hasValue(1);
  }
}

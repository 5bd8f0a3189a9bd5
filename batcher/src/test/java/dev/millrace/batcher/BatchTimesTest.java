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

/** What a listener hears of runs that went well. */
@ExtendWith(TensorLeakExtension.class)
class BatchTimesTest {
  private static final Deadline NONE = Deadline.none();
  private static final long MS = Duration.ofMillis(1).toNanos();

  private final ManualTicker ticker = new ManualTicker();
  private final List<BatchTimes> heard = new CopyOnWriteArrayList<>();

  private Batcher start(TestPredictor predictor) {
    BatchListener listener =
        new BatchListener() {
          @Override
          public void batchFinished(BatchTimes times) {
            heard.add(times);
          }
        };
    return Batcher.start(
        "m",
        new BatcherConfig(8, 100, 1 << 20),
        List.of(predictor),
        new GreedyPolicy(),
        listener,
        ticker);
  }

  @Test
  void batch_isToldOfBeforeItsRequestsAreAnswered() {
    TestPredictor predictor = TestPredictor.gated();
    try (Batcher batcher = start(predictor)) {
      Reply lone = batcher.submit(Inputs.rows(0, 3), List.of(), NONE);
      Await.until(() -> batcher.runningBatches() == 1);
      Reply second = batcher.submit(Inputs.rows(10, 2), List.of(), NONE);
      Reply third = batcher.submit(Inputs.rows(20, 1), List.of(), NONE);
      ticker.advance(Duration.ofMillis(4));
      predictor.open();

      Await.outputs(lone).close();
      Await.outputs(second).close();
      Await.outputs(third).close();
      assertThat(heard)
          .containsExactly(
              new BatchTimes(1, 1, 3, 0, 0, 4 * MS, 0), new BatchTimes(2, 2, 3, 8 * MS, 0, 0, 0));
    }
  }

  @Test
  void requestInPieces_countsOnceAndItsRowsInEachRun() {
    TestPredictor predictor =
        new TestPredictor(inputs -> {
          ticker.advance(Duration.ofMillis(1));
          return TestPredictor.same(inputs);
        });
    try (Batcher batcher = start(predictor)) {
      Await.outputs(batcher.submit(Inputs.rows(0, 20), List.of(), NONE)).close();

      assertThat(heard)
          .containsExactly(
              new BatchTimes(1, 1, 8, 0, 0, MS, 0),
              new BatchTimes(0, 1, 8, 0, 0, MS, 0),
              new BatchTimes(0, 1, 4, 0, 0, MS, 0));
    }
  }

  @Test
  void failedRun_isNotToldOf() {
    TestPredictor predictor =
        new TestPredictor(inputs -> {
          throw new IllegalStateException("no");
        });
    try (Batcher batcher = start(predictor)) {
      Await.failure(batcher.submit(Inputs.rows(0, 1), List.of(), NONE));

      assertThat(heard).isEmpty();
    }
  }
}

package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.Deadline;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.BatchPolicy.Hold;
import dev.millrace.batcher.BatchPolicy.Run;
import dev.millrace.testing.TensorLeakExtension;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** That the batcher does what its policy says. */
@ExtendWith(TensorLeakExtension.class)
class BatcherPolicyTest {
  private static final Deadline NONE = Deadline.none();
  private static final long HOUR = Duration.ofHours(1).toNanos();

  private final TestPredictor predictor = TestPredictor.echo();

  private static Batcher start(BatchPolicy policy, TestPredictor... predictors) {
    return Batcher.start(
        "m",
        new BatcherConfig(8, 100, 1 << 20),
        List.of(predictors),
        policy,
        BatchListener.none(),
        Ticker.system());
  }

  private static List<Reply> submit(Batcher batcher, int count) {
    List<Reply> replies = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      replies.add(batcher.submit(Inputs.x(i), List.of(), NONE));
    }
    return replies;
  }

  @Test
  void greedy_takesTheFront() {
    RequestQueue queue = new RequestQueue(8);
    assertThat(new GreedyPolicy().decide(queue, 0)).isEqualTo(new Run(0));
  }

  /** A queue in which that many requests of one row wait. */
  private record Waiting(int frontRows) implements QueueView {
    @Override
    public int frontRequests() {
      return frontRows;
    }

    @Override
    public long oldestNanos() {
      return 0;
    }

    @Override
    public int queuedRows() {
      return frontRows;
    }

    @Override
    public int maxBatchSize() {
      return 64;
    }

    @Override
    public int idleRunners() {
      return 0;
    }
  }

  @Test
  void greedy_leavesTheOtherRunnersTheirShare() {
    GreedyPolicy policy = new GreedyPolicy(2);
    assertThat(policy.decide(new Waiting(64), 0)).isEqualTo(new Run(32));
    assertThat(policy.decide(new Waiting(3), 0)).isEqualTo(new Run(2));
    assertThat(policy.decide(new Waiting(1), 0)).isEqualTo(new Run(1));
    assertThat(new GreedyPolicy().decide(new Waiting(64), 0)).isEqualTo(new Run(64));
    assertThatThrownBy(() -> new GreedyPolicy(0)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void rows_limitTheBatch() {
    TestPredictor gated = TestPredictor.gated();
    try (Batcher batcher = start((queue, now) -> new Run(2), gated)) {
      List<Reply> replies = submit(batcher, 1);
      Await.until(() -> gated.batches.size() == 1);
      replies.addAll(submit(batcher, 5));
      gated.open();
      replies.forEach(reply -> Await.outputs(reply).close());
      assertThat(gated.batches).extracting(List::size).containsExactly(1, 2, 2, 1);
    }
  }

  @Test
  void hold_endsWhenEnoughIsThere() {
    try (Batcher batcher = start((queue, now) -> new Hold(now + HOUR, 3), predictor)) {
      List<Reply> replies = submit(batcher, 2);
      assertThat(predictor.batches).isEmpty();
      replies.addAll(submit(batcher, 1));
      replies.forEach(reply -> Await.outputs(reply).close());
      assertThat(predictor.batches).extracting(List::size).containsExactly(3);
    }
  }

  @Test
  void hold_endsInTime() {
    List<Integer> fronts = new CopyOnWriteArrayList<>();
    BatchPolicy policy =
        (queue, now) -> {
          fronts.add(queue.frontRows());
          return now - queue.oldestNanos() < 5_000_000
              ? new Hold(queue.oldestNanos() + 5_000_000, 100)
              : new Run(queue.frontRows());
        };
    try (Batcher batcher = start(policy, predictor)) {
      Reply reply = submit(batcher, 1).getFirst();
      Await.outputs(reply).close();
      assertThat(reply.queueNanos()).isGreaterThanOrEqualTo(5_000_000);
      assertThat(fronts).containsExactly(1, 1);
    }
  }

  @Test
  void hold_endsWhenTheBatcherCloses() {
    Batcher batcher =
        start((queue, now) -> new Hold(now + HOUR, 100), predictor, TestPredictor.echo());
    List<Reply> replies = submit(batcher, 3);
    batcher.close();
    replies.forEach(reply -> Await.outputs(reply).close());
  }

  @Test
  void holdOfOneRunner_keepsTheOthersFromTaking() {
    TestPredictor other = TestPredictor.echo();
    try (Batcher batcher = start((queue, now) -> new Hold(now + HOUR, 8), predictor, other)) {
      List<Reply> replies = submit(batcher, 8);
      replies.forEach(reply -> Await.outputs(reply).close());
      List<List<Float>> batches = new ArrayList<>(predictor.batches);
      batches.addAll(other.batches);
      assertThat(batches).extracting(List::size).containsExactly(8);
    }
  }

  @Test
  void holdThatIsOver_runsTheFront() {
    try (Batcher batcher = start((queue, now) -> new Hold(now - 1, 100), predictor)) {
      Await.outputs(submit(batcher, 1).getFirst()).close();
    }
  }

  @Test
  void policyThatThrows_isReplacedByTheWholeFront() {
    BatchPolicy broken =
        new BatchPolicy() {
          @Override
          public Decision decide(QueueView queue, long nowNanos) {
            throw new IllegalStateException("on purpose");
          }

          @Override
          public void batchCompleted(int rows, long computeNanos, long nowNanos) {
            throw new IllegalStateException("on purpose");
          }
        };
    try (Batcher batcher = start(broken, predictor)) {
      for (int i = 0; i < 2; i++) {
        Await.outputs(submit(batcher, 1).getFirst()).close();
      }
    }
  }

  @Test
  void policy_seesTheQueueAndHearsOfBatches() {
    List<String> seen = new CopyOnWriteArrayList<>();
    BatchPolicy policy =
        new BatchPolicy() {
          @Override
          public Decision decide(QueueView queue, long nowNanos) {
            seen.add(
                "front %d/%d of %d, cap %d, idle %d"
                    .formatted(
                        queue.frontRequests(),
                        queue.frontRows(),
                        queue.queuedRows(),
                        queue.maxBatchSize(),
                        queue.idleRunners()));
            return new Run(queue.frontRows());
          }

          @Override
          public void batchCompleted(int rows, long computeNanos, long nowNanos) {
            assertThat(computeNanos).isPositive();
            seen.add("ran " + rows);
          }
        };
    TestPredictor gated = TestPredictor.gated();
    try (Batcher batcher = start(policy, gated)) {
      List<Reply> replies = submit(batcher, 1);
      Await.until(() -> gated.batches.size() == 1);
      replies.add(batcher.submit(Inputs.rows(0, 3), List.of(), NONE));
      replies.add(batcher.submit(Inputs.rows(0, 2), List.of(), NONE));
      replies.add(batcher.submit(Inputs.rows(0, 2), List.of("y"), NONE));
      gated.open();
      replies.forEach(reply -> Await.outputs(reply).close());
    }
    assertThat(seen)
        .containsExactly(
            "front 1/1 of 1, cap 8, idle 0",
            "ran 1",
            "front 2/5 of 7, cap 8, idle 0",
            "ran 5",
            "front 1/2 of 2, cap 8, idle 0",
            "ran 2");
  }
}

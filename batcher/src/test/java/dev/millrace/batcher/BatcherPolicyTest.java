package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Deadline;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.BatchPolicy.Hold;
import dev.millrace.batcher.policy.BatchPolicy.Run;
import dev.millrace.batcher.policy.BatchPolicy.Trigger;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.QueueView;
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

  private static Run run(int rows) {
    return new Run(0, rows, DispatchReason.DRAIN);
  }

  @Test
  void rows_limitTheBatch() {
    TestPredictor gated = TestPredictor.gated();
    try (Batcher batcher = start((queue, trigger, now) -> run(2), gated)) {
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
    try (Batcher batcher = start((queue, trigger, now) -> new Hold(now + HOUR, 3), predictor)) {
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
        (queue, trigger, now) -> {
          fronts.add(queue.rows());
          return now - queue.acceptedNanos(0) < 5_000_000
              ? new Hold(queue.acceptedNanos(0) + 5_000_000, 100)
              : run(queue.rows());
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
        start((queue, trigger, now) -> new Hold(now + HOUR, 100), predictor, TestPredictor.echo());
    List<Reply> replies = submit(batcher, 3);
    batcher.close();
    replies.forEach(reply -> Await.outputs(reply).close());
  }

  @Test
  void holdOfOneRunner_keepsTheOthersFromTaking() {
    TestPredictor other = TestPredictor.echo();
    try (Batcher batcher =
        start((queue, trigger, now) -> new Hold(now + HOUR, 8), predictor, other)) {
      List<Reply> replies = submit(batcher, 8);
      replies.forEach(reply -> Await.outputs(reply).close());
      List<List<Float>> batches = new ArrayList<>(predictor.batches);
      batches.addAll(other.batches);
      assertThat(batches).extracting(List::size).containsExactly(8);
    }
  }

  @Test
  void holdThatIsOver_runsTheFront() {
    try (Batcher batcher = start((queue, trigger, now) -> new Hold(now - 1, 100), predictor)) {
      Await.outputs(submit(batcher, 1).getFirst()).close();
    }
  }

  @Test
  void policyThatThrows_isReplacedByTheWholeFront() {
    BatchPolicy broken =
        new BatchPolicy() {
          @Override
          public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
            throw new IllegalStateException("on purpose");
          }

          @Override
          public void completed(
              int shape, int rows, long startedNanos, long busyNanos, long nowNanos) {
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
          public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
            seen.add(
                "%s: front %d of %d/%d of %d, cap %d, idle %d, busy %d"
                    .formatted(
                        trigger,
                        queue.shape(),
                        queue.requests(),
                        queue.rows(),
                        queue.totalRows(),
                        queue.maxBatchSize(),
                        queue.idleRunners(),
                        queue.busyRunners()));
            return run(queue.rows());
          }

          @Override
          public void shape(int shape, long rowElements) {
            seen.add("shape %d of %d elements".formatted(shape, rowElements));
          }

          @Override
          public void arrived(int shape, int rows, long acceptedNanos) {
            seen.add("arrived %d/%d".formatted(shape, rows));
          }

          @Override
          public void started(int shape, int rows, long nowNanos) {
            seen.add("started %d/%d".formatted(shape, rows));
          }

          @Override
          public void completed(
              int shape, int rows, long startedNanos, long busyNanos, long nowNanos) {
            assertThat(busyNanos).isEqualTo(nowNanos - startedNanos).isPositive();
            seen.add("ran %d/%d".formatted(shape, rows));
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
            "shape 0 of 1 elements",
            "arrived 0/1",
            "ARRIVAL: front 0 of 1/1 of 1, cap 8, idle 0, busy 0",
            "started 0/1",
            "ran 0/1",
            "arrived 0/3",
            "arrived 0/2",
            "shape 1 of 1 elements",
            "arrived 1/2",
            "COMPLETION: front 0 of 2/5 of 7, cap 8, idle 0, busy 0",
            "started 0/5",
            "ran 0/5",
            "COMPLETION: front 1 of 1/2 of 2, cap 8, idle 0, busy 0",
            "started 1/2",
            "ran 1/2");
  }
}

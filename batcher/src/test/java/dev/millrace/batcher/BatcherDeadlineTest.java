package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.policy.GreedyPolicy;
import dev.millrace.testing.TensorLeakExtension;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Deadlines and cancellation. */
@ExtendWith(TensorLeakExtension.class)
class BatcherDeadlineTest {
  private static final Deadline NONE = Deadline.none();

  private final ManualTicker ticker = new ManualTicker();
  private final Recorder recorder = new Recorder();
  private final TestPredictor predictor = TestPredictor.gated();

  private Batcher start(Ticker time) {
    return start(predictor, time);
  }

  private Batcher start(TestPredictor only, Ticker time) {
    return Batcher.start(
        "m", new BatcherConfig(8, 100, 1 << 20), List.of(only), new GreedyPolicy(), recorder, time);
  }

  /** Keeps the only runner busy. */
  private Reply occupy(Batcher batcher) {
    Reply reply = batcher.submit(Inputs.x(-1), List.of(), NONE);
    Await.until(() -> !predictor.batches.isEmpty());
    return reply;
  }

  @Test
  void lateRequest_isRefused() {
    Deadline deadline = ticker.in(Duration.ofMillis(1));
    ticker.advance(Duration.ofMillis(1));
    try (Batcher batcher = start(ticker);
        TensorMap inputs = Inputs.x(1)) {
      InferenceException rejection =
          catchThrowableOfType(
              InferenceException.class, () -> batcher.submit(inputs, List.of(), deadline));
      assertThat(rejection.code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED);
      assertThat(inputs.tensor(0).isClosed()).isFalse();
    }
    assertThat(recorder.events()).containsExactly("shed DEADLINE");
  }

  @Test
  void deadlineInTheQueue_isAnsweredByTheTimerWhileTheRunnerIsBusy() {
    try (Batcher batcher = start(Ticker.system())) {
      Reply busy = occupy(batcher);
      TensorMap inputs = Inputs.x(1);
      Deadline soon = Deadline.after(Duration.ofMillis(20), Ticker.system());
      Deadline later = Deadline.after(Duration.ofHours(1), Ticker.system());
      Reply waits = batcher.submit(Inputs.x(2), List.of(), later);
      Reply late = batcher.submit(inputs, List.of(), soon);

      InferenceException failure = Await.failure(late);
      assertThat(failure.code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED);
      assertThat(soon.isExpired(System.nanoTime())).isTrue();
      assertThat(inputs.tensor(0).isClosed()).isTrue();
      assertThat(late.queueNanos()).isGreaterThanOrEqualTo(Duration.ofMillis(15).toNanos());
      assertThat(batcher.queuedRequests()).isEqualTo(1);
      assertThat(waits).isNotDone();
      predictor.open();
      Await.outputs(busy).close();
      Await.outputs(waits).close();
      assertThat(predictor.batches).containsExactly(List.of(-1f), List.of(2f));
    }
    assertThat(recorder.events()).contains("shed DEADLINE");
  }

  @Test
  void deadlineInTheQueue_isNoticedByTheRunnerToo() {
    try (Batcher batcher = start(ticker)) {
      Reply busy = occupy(batcher);
      Reply late1 = batcher.submit(Inputs.x(1), List.of(), ticker.in(Duration.ofSeconds(1)));
      Reply fine = batcher.submit(Inputs.x(2), List.of(), ticker.in(Duration.ofSeconds(9)));
      Reply late2 = batcher.submit(Inputs.x(3), List.of(), ticker.in(Duration.ofSeconds(1)));
      ticker.advance(Duration.ofSeconds(1));
      predictor.open();

      assertThat(Await.failure(late1).code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED);
      assertThat(Await.failure(late2).code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED);
      Await.outputs(busy).close();
      Await.outputs(fine).close();
      assertThat(predictor.batches).containsExactly(List.of(-1f), List.of(2f));
    }
  }

  @Test
  void deadlineWhileRunning_answersNowAndDropsTheResultLater() {
    try (Batcher batcher = start(ticker)) {
      TensorMap inputs = Inputs.x(1);
      Reply reply = batcher.submit(inputs, List.of(), ticker.in(Duration.ofSeconds(1)));
      Await.until(() -> !predictor.batches.isEmpty());
      batcher.expire();
      assertThat(reply).isNotDone();
      ticker.advance(Duration.ofSeconds(1));
      batcher.expire();

      assertThat(Await.failure(reply).code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED);
      assertThat(inputs.tensor(0).isClosed()).as("the model still reads them").isFalse();
      predictor.open();
      Await.until(() -> inputs.tensor(0).isClosed());
    }
  }

  @Test
  void deadlineThatIsKept_leavesNothingBehind() {
    try (Batcher batcher = start(ticker)) {
      predictor.open();
      Reply reply = batcher.submit(Inputs.x(1), List.of(), ticker.in(Duration.ofSeconds(1)));
      assertThat(Inputs.y(Await.outputs(reply))).containsExactly(1f);
      ticker.advance(Duration.ofSeconds(2));
      batcher.expire();
      assertThat(recorder.events()).doesNotContain("shed DEADLINE");
    }
  }

  @Test
  void cancelInTheQueue_freesTheInputsAndNeverRuns() {
    try (Batcher batcher = start(ticker)) {
      Reply busy = occupy(batcher);
      TensorMap inputs = Inputs.x(1);
      Reply reply = batcher.submit(inputs, List.of(), ticker.in(Duration.ofSeconds(1)));
      assertThat(batcher.queuedBytes()).isEqualTo(4);

      assertThat(reply.cancel(false)).isTrue();

      assertThat(inputs.tensor(0).isClosed()).isTrue();
      assertThat(batcher.queuedRequests()).isZero();
      assertThat(batcher.queuedBytes()).isZero();
      assertThat(Await.failure(reply).code()).isEqualTo(ErrorCode.CANCELLED);
      assertThat(reply.cancel(false)).as("a cancelled future says true again").isTrue();
      predictor.open();
      Await.outputs(busy).close();
    }
    assertThat(predictor.batches).containsExactly(List.of(-1f));
    assertThat(recorder.events()).containsOnlyOnce("shed CANCELLED");
  }

  @Test
  void cancelWhileRunning_answersNowAndDropsTheResultLater() {
    try (Batcher batcher = start(ticker)) {
      TensorMap inputs = Inputs.x(1);
      Reply reply = batcher.submit(inputs, List.of(), NONE);
      Await.until(() -> !predictor.batches.isEmpty());

      assertThat(reply.cancel(true)).isTrue();

      assertThat(reply).isCancelled();
      assertThat(inputs.tensor(0).isClosed()).isFalse();
      predictor.open();
      Await.until(() -> inputs.tensor(0).isClosed());
    }
  }

  @Test
  void runThatNobodyWaitsForAnyMore_endsAndIsNotRunAgain() {
    TestPredictor ends = TestPredictor.gatedUntilAbandoned();
    try (Batcher batcher = start(ends, ticker)) {
      Reply alone = batcher.submit(Inputs.x(-1), List.of(), NONE);
      Await.until(() -> ends.batches.size() == 1);
      Reply cancelled = batcher.submit(Inputs.x(1), List.of(), NONE);
      Reply late = batcher.submit(Inputs.x(2), List.of(), ticker.in(Duration.ofSeconds(1)));
      ends.pass();
      Await.outputs(alone).close();
      Await.until(() -> ends.batches.size() == 2);

      cancelled.cancel(false);
      assertThat(ends.abandoned).as("one still waits").hasValue(0);
      ticker.advance(Duration.ofSeconds(1));
      batcher.expire();
      assertThat(Await.failure(late).code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED);

      Reply next = batcher.submit(Inputs.x(3), List.of(), NONE);
      Await.until(() -> ends.batches.size() == 3);
      ends.pass();
      assertThat(Inputs.y(Await.outputs(next))).containsExactly(3f);
      assertThat(ends.abandoned).hasValue(1);
    }
    assertThat(ends.batches.get(1)).containsExactlyInAnyOrder(1f, 2f);
    assertThat(recorder.events()).noneMatch(event -> event.startsWith("failed"));
  }

  @Test
  void cancelAfterTheAnswer_changesNothing() {
    try (Batcher batcher = start(ticker)) {
      predictor.open();
      Reply reply = batcher.submit(Inputs.x(1), List.of(), NONE);
      TensorMap outputs = Await.outputs(reply);
      assertThat(reply.cancel(true)).isFalse();
      assertThat(Inputs.y(outputs)).containsExactly(1f);
    }
  }

  @Test
  void replyCompletedBySomebodyElse_isNotRun() {
    try (Batcher batcher = start(ticker)) {
      Reply busy = occupy(batcher);
      Reply reply = batcher.submit(Inputs.x(1), List.of(), NONE);
      assertThat(reply.completeExceptionally(InferenceException.unavailable("gone"))).isTrue();
      predictor.open();
      Await.outputs(busy).close();
    }
    assertThat(predictor.batches).hasSize(1);
  }

  @Test
  void cancelledDuringAFailedBatch_isNotRunAgain() {
    TestPredictor failing =
        TestPredictor.gated(inputs -> {
          if (inputs.tensor(0).shape().dim(0) > 1) {
            throw InferenceException.invalidArgument("together");
          }
          return TestPredictor.same(inputs);
        });
    try (Batcher batcher =
        Batcher.start(
            "m",
            new BatcherConfig(8, 8, 1 << 20),
            List.of(failing),
            new GreedyPolicy(),
            recorder,
            ticker)) {
      Reply first = batcher.submit(Inputs.x(0), List.of(), NONE);
      Await.until(() -> failing.batches.size() == 1);
      Reply stays = batcher.submit(Inputs.x(1), List.of(), NONE);
      Reply goes = batcher.submit(Inputs.x(2), List.of(), NONE);
      failing.pass();
      Await.until(() -> failing.batches.size() == 2);
      assertThat(goes.cancel(true)).isTrue();
      failing.open();
      Await.outputs(first).close();
      assertThat(Inputs.y(Await.outputs(stays))).containsExactly(1f);
    }
    assertThat(failing.batches).containsExactly(List.of(0f), List.of(1f, 2f), List.of(1f));
  }
}

package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.batcher.policy.GreedyPolicy;
import dev.millrace.testing.TensorLeakExtension;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** What a predictor that fails does to the requests of its batch. */
@ExtendWith(TensorLeakExtension.class)
class BatcherIsolationTest {
  private static final Deadline NONE = Deadline.none();

  private final Recorder recorder = new Recorder();
  private final List<Reply> replies = new ArrayList<>();

  private Batcher start(TestPredictor predictor) {
    return start(predictor, new ManualTicker());
  }

  private Batcher start(TestPredictor predictor, ManualTicker ticker) {
    return Batcher.start(
        "m",
        new BatcherConfig(64, 100, 1 << 20),
        List.of(predictor),
        new GreedyPolicy(),
        recorder,
        ticker);
  }

  /** Runs a request of value -1 alone and then {@code count} of 0, 1, ... in one batch. */
  private void submitTogether(Batcher batcher, TestPredictor predictor, int count) {
    submitTogether(batcher, predictor, 0, count);
  }

  private void submitTogether(Batcher batcher, TestPredictor predictor, int before, int count) {
    Reply first = batcher.submit(Inputs.x(-1), List.of(), NONE);
    Await.until(() -> predictor.batches.size() == before + 1);
    for (int i = 0; i < count; i++) {
      replies.add(batcher.submit(Inputs.x(i), List.of(), NONE));
    }
    predictor.open();
    Await.until(first::isDone);
    Await.outputs(first).close();
  }

  private static UnaryOperator<TensorMap> failingOn(Set<Float> guilty) {
    return inputs -> {
      List<Float> values = TestPredictor.values(inputs.tensor(0));
      if (values.stream().anyMatch(guilty::contains)) {
        throw InferenceException.invalidArgument("a bad row among " + values.size());
      }
      return TestPredictor.same(inputs);
    };
  }

  @Test
  void guiltyRequests_failAloneWithinFewRuns() {
    TestPredictor predictor = TestPredictor.gated(failingOn(Set.of(11f)));
    try (Batcher batcher = start(predictor)) {
      submitTogether(batcher, predictor, 32);

      for (int i = 0; i < 32; i++) {
        if (i == 11) {
          InferenceException failure = Await.failure(replies.get(i));
          assertThat(failure.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
          assertThat(failure).hasMessage("a bad row among 1");
        } else {
          assertThat(Inputs.y(Await.outputs(replies.get(i)))).containsExactly((float) i);
        }
      }
      assertThat(predictor.batches)
          .as("the first request, the batch, two halves at each of five levels")
          .hasSize(1 + 1 + 10);
    }
    assertThat(recorder.events()).contains("failed 32/32", "failed 1/1", "completed 16/16 in 0 ms");
  }

  @Test
  void severalGuiltyRequests_failAlone() {
    TestPredictor predictor = TestPredictor.gated(failingOn(Set.of(0f, 7f, 8f, 19f)));
    try (Batcher batcher = start(predictor)) {
      submitTogether(batcher, predictor, 20);

      for (int i = 0; i < 20; i++) {
        if (Set.of(0, 7, 8, 19).contains(i)) {
          assertThat(Await.failure(replies.get(i)).code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
        } else {
          assertThat(Inputs.y(Await.outputs(replies.get(i)))).containsExactly((float) i);
        }
      }
    }
  }

  @Test
  void batchThatIsTooLargeForMemory_runsInHalves() {
    TestPredictor predictor =
        TestPredictor.gated(inputs -> {
          if (inputs.tensor(0).shape().dim(0) > 5) {
            throw new OutOfMemoryError("on purpose");
          }
          return TestPredictor.same(inputs);
        });
    try (Batcher batcher = start(predictor)) {
      submitTogether(batcher, predictor, 16);
      for (int i = 0; i < 16; i++) {
        assertThat(Inputs.y(Await.outputs(replies.get(i)))).containsExactly((float) i);
      }
    }
  }

  @Test
  void anyThrowable_becomesInternalAndTheRunnerLivesOn() {
    TestPredictor predictor =
        new TestPredictor(inputs -> {
          switch ((int) inputs.tensor(0).toFloats()[0]) {
            case 0 -> throw new IllegalStateException("secret");
            case 1 -> throw new OutOfMemoryError("secret");
            case 2 -> throw new StackOverflowError();
            case 3 -> throw BatcherIsolationTest.<RuntimeException>sneaky(new Exception("secret"));
            default -> throw InferenceException.unavailable("upstream");
          }
        });
    try (Batcher batcher = start(predictor)) {
      for (int i = 0; i < 4; i++) {
        InferenceException failure = Await.failure(batcher.submit(Inputs.x(i), List.of(), NONE));
        assertThat(failure.code()).isEqualTo(ErrorCode.INTERNAL);
        assertThat(failure)
            .hasMessageStartingWith("model 'm'")
            .hasMessageNotContaining("secret")
            .hasCauseInstanceOf(Throwable.class);
      }
      InferenceException failure = Await.failure(batcher.submit(Inputs.x(4), List.of(), NONE));
      assertThat(failure.code()).isEqualTo(ErrorCode.UNAVAILABLE);
      assertThat(failure).hasMessage("upstream");
    }
    assertThat(predictor.closed).hasValue(1);
  }

  // A checked exception that the compiler does not see.
  @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"})
  private static <T extends Throwable> RuntimeException sneaky(Throwable checked) throws T {
    throw (T) checked;
  }

  @Test
  @SuppressWarnings("NullAway") // a predictor that breaks the contract
  void nullOutputs_areTheModelsFault() {
    try (Batcher batcher = start(new TestPredictor(inputs -> null))) {
      assertThat(Await.failure(batcher.submit(Inputs.x(1), List.of(), NONE)).code())
          .isEqualTo(ErrorCode.INTERNAL);
    }
  }

  @Test
  void predictorThatLeavesAnInterruptBehind_disturbsNothing() {
    TestPredictor predictor =
        new TestPredictor(inputs -> {
          Thread.currentThread().interrupt();
          return TestPredictor.same(inputs);
        });
    try (Batcher batcher = start(predictor)) {
      for (int i = 0; i < 3; i++) {
        assertThat(Inputs.y(Await.outputs(batcher.submit(Inputs.x(i), List.of(), NONE))))
            .containsExactly((float) i);
      }
    }
  }

  @Test
  void predictorThatFailsToClose_doesNotKeepTheBatcherOpen() {
    TestPredictor predictor = TestPredictor.echo();
    dev.millrace.api.spi.Predictor broken =
        new dev.millrace.api.spi.Predictor() {
          @Override
          public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
            return predictor.predict(inputs, requestedOutputs);
          }

          @Override
          public void close() {
            throw new IllegalStateException("on purpose");
          }
        };
    try (Batcher batcher =
        Batcher.start(
            "m",
            new BatcherConfig(1, 1, 1),
            List.of(broken, predictor),
            new GreedyPolicy(),
            recorder,
            new ManualTicker())) {
      assertThat(batcher.runningBatches()).isZero();
    }
    assertThat(predictor.closed).hasValue(1);
  }

  @Test
  void outputsThatAreNotRowByRow_stopMerging() {
    // The mean over the batch: right for one request only.
    TestPredictor predictor =
        TestPredictor.gated(inputs -> {
          float sum = 0;
          for (float value : inputs.tensor(0).toFloats()) {
            sum += value;
          }
          return TensorMap.of("y", Tensor.copyOf(Shape.of(1), sum));
        });
    try (Batcher batcher = start(predictor)) {
      submitTogether(batcher, predictor, 5);
      for (int i = 0; i < 5; i++) {
        assertThat(Inputs.y(Await.outputs(replies.get(i)))).containsExactly((float) i);
      }
      assertThat(predictor.batches).extracting(List::size).containsExactly(1, 5, 1, 1, 1, 1, 1);

      predictor.batches.clear();
      replies.clear();
      for (int i = 0; i < 5; i++) {
        replies.add(batcher.submit(Inputs.x(i, 1), List.of(), NONE));
      }
      for (int i = 0; i < 5; i++) {
        assertThat(Inputs.y(Await.outputs(replies.get(i)))).containsExactly(i + 1f);
      }
      assertThat(predictor.batches).extracting(List::size).containsOnly(2);
    }
  }

  @Test
  void outputsThatCannotBeSplit_failTheBatchAndTheRunnerLivesOn() {
    TestPredictor predictor =
        TestPredictor.gated(inputs -> {
          TensorMap outputs = TestPredictor.same(inputs);
          if (inputs.tensor(0).shape().dim(0) > 1) {
            outputs.close();
          }
          return outputs;
        });
    try (Batcher batcher = start(predictor)) {
      submitTogether(batcher, predictor, 3);
      for (Reply reply : replies) {
        assertThat(Await.failure(reply).code()).isEqualTo(ErrorCode.INTERNAL);
      }
      assertThat(Inputs.y(Await.outputs(batcher.submit(Inputs.x(1), List.of(), NONE))))
          .containsExactly(1f);
    }
  }

  @Test
  void scalarOutputs_areNotRowByRow() {
    TestPredictor predictor =
        TestPredictor.gated(inputs -> TensorMap.of("y", Tensor.copyOf(Shape.scalar(), 1f)));
    try (Batcher batcher = start(predictor)) {
      submitTogether(batcher, predictor, 3);
      for (Reply reply : replies) {
        assertThat(Inputs.y(Await.outputs(reply))).containsExactly(1f);
      }
    }
  }

  @Test
  void inputsThatFailedABatch_areRunAloneWhenTheyComeAgain() {
    TestPredictor predictor = TestPredictor.gated(failingOn(Set.of(3f)));
    try (Batcher batcher = start(predictor)) {
      submitTogether(batcher, predictor, 4);
      replies.forEach(reply -> Await.until(reply::isDone));
      replies.forEach(reply -> closeIfAny(reply));
      replies.clear();
      int before = predictor.batches.size();
      Reply again = batcher.submit(Inputs.x(3), List.of(), NONE);
      assertThat(Await.failure(again).code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
      assertThat(predictor.batches).hasSize(before + 1);
      List<Reply> others = new ArrayList<>();
      for (float value : new float[] {1, 3, 2}) {
        others.add(batcher.submit(Inputs.x(value), List.of(), NONE));
      }
      others.forEach(reply -> Await.until(reply::isDone));
      others.forEach(BatcherIsolationTest::closeIfAny);
      assertThat(predictor.batches.subList(before + 1, predictor.batches.size()))
          .as("never again with others")
          .noneMatch(batch -> batch.size() > 1 && batch.contains(3f));
    }
  }

  private static void closeIfAny(Reply reply) {
    if (!reply.isCompletedExceptionally()) {
      reply.join().close();
    }
  }

  @Test
  void batchThatIsTooLargeForMemory_lowersTheCapForAWhile() {
    ManualTicker ticker = new ManualTicker();
    TestPredictor predictor =
        TestPredictor.gated(inputs -> {
          if (inputs.tensor(0).shape().dim(0) > 8) {
            throw new OutOfMemoryError("on purpose");
          }
          return TestPredictor.same(inputs);
        });
    try (Batcher batcher = start(predictor, ticker)) {
      submitTogether(batcher, predictor, 16);
      replies.forEach(reply -> Await.outputs(reply).close());
      assertThat(sizesOf(batcher, predictor, 16)).containsExactly(8, 8);
      ticker.advance(Duration.ofSeconds(31));
      assertThat(sizesOf(batcher, predictor, 8)).containsExactly(8);
      assertThat(sizesOf(batcher, predictor, 16)).as("tried again").startsWith(16);
    }
  }

  /** Sizes of the batches that so many requests run in which came at once. */
  private List<Integer> sizesOf(Batcher batcher, TestPredictor predictor, int count) {
    replies.clear();
    int before = predictor.batches.size();
    predictor.shut();
    submitTogether(batcher, predictor, before, count);
    replies.forEach(reply -> Await.outputs(reply).close());
    return predictor.batches.subList(before + 1, predictor.batches.size()).stream()
        .map(List::size)
        .toList();
  }

  @Test
  void muchTimeInSecondRuns_stopsMergingForASecond() {
    ManualTicker ticker = new ManualTicker();
    TestPredictor predictor =
        TestPredictor.gated(inputs -> {
          ticker.advance(Duration.ofMillis(100));
          return failingOn(Set.of(5f)).apply(inputs);
        });
    try (Batcher batcher = start(predictor, ticker)) {
      submitTogether(batcher, predictor, 16);
      replies.forEach(reply -> Await.until(reply::isDone));
      replies.forEach(BatcherIsolationTest::closeIfAny);
      assertThat(sizesOf(batcher, predictor, 3)).as("alone").containsExactly(1, 1, 1);
      ticker.advance(Duration.ofSeconds(1));
      assertThat(sizesOf(batcher, predictor, 3)).as("merged again").containsExactly(3);
    }
  }
}

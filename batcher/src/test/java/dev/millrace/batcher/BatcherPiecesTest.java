package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.millrace.api.DataType;
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
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Requests of more rows than the cap. */
@ExtendWith(TensorLeakExtension.class)
class BatcherPiecesTest {
  private static final Deadline NONE = Deadline.none();

  private final ManualTicker ticker = new ManualTicker();

  private Batcher start(int maxBatchSize, TestPredictor... predictors) {
    return Batcher.start(
        "m",
        new BatcherConfig(maxBatchSize, 100, 1 << 20),
        List.of(predictors),
        new GreedyPolicy(),
        BatchListener.none(),
        ticker);
  }

  @Test
  void oversizedRequest_isSplitAndRejoinedInOrder() {
    TestPredictor predictor =
        new TestPredictor(inputs -> {
          ticker.advance(Duration.ofMillis(1));
          return TestPredictor.same(inputs);
        });
    try (Batcher batcher = start(8, predictor)) {
      TensorMap inputs = Inputs.rows(0, 20);
      Reply reply = batcher.submit(inputs, List.of(), NONE);

      assertThat(Inputs.y(Await.outputs(reply))).isEqualTo(floats(0, 20));
      assertThat(inputs.tensor(0).isClosed()).isTrue();
      assertThat(predictor.batches).extracting(List::size).containsExactly(8, 8, 4);
      assertThat(reply.computeNanos()).isEqualTo(Duration.ofMillis(3).toNanos());
    }
  }

  @Test
  void pieces_runInParallelAndShareBatchesWithOthers() {
    TestPredictor first = TestPredictor.gated();
    TestPredictor second = TestPredictor.gated();
    try (Batcher batcher = start(8, first, second)) {
      Reply big = batcher.submit(Inputs.rows(0, 20), List.of(), NONE);
      Await.until(() -> batcher.runningBatches() == 2);
      Reply small = batcher.submit(Inputs.rows(100, 3), List.of(), NONE);
      assertThat(batcher.queuedRows()).isEqualTo(4 + 3);
      first.pass();
      Await.until(
          () -> first.batches.size() == 2 || first.batches.size() + second.batches.size() == 3);
      first.open();
      second.open();

      assertThat(Inputs.y(Await.outputs(big))).isEqualTo(floats(0, 20));
      assertThat(Inputs.y(Await.outputs(small))).isEqualTo(floats(100, 3));
      List<List<Float>> batches = new ArrayList<>(first.batches);
      batches.addAll(second.batches);
      assertThat(batches).extracting(List::size).containsExactlyInAnyOrder(8, 8, 7);
    }
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void pieces_ofEveryDatatype_areTheSameAsTheWhole(DataType dataType) {
    Random random = new Random(5);
    try (Batcher batcher =
        Batcher.start(
            "m",
            new BatcherConfig(4, 100, 1 << 20),
            List.of(new RowModel(), new RowModel()),
            new GreedyPolicy(),
            BatchListener.none(),
            ticker)) {
      for (int round = 0; round < 20; round++) {
        int rows = 5 + random.nextInt(20);
        try (TensorMap inputs =
                TensorMap.of(
                    "a", Inputs.random(dataType, Shape.of(rows, 2), random),
                    "b", Inputs.random(DataType.BYTES, Shape.of(rows, 3), random));
            TensorMap expected = new RowModel().predict(inputs, List.of());
            TensorMap actual =
                Await.outputs(batcher.submit(Inputs.copy(inputs), List.of(), NONE))) {
          Inputs.assertSame(actual, expected);
        }
      }
    }
  }

  @Test
  void pieceThatFails_failsTheRequestOnceAndTheRestNeverRuns() {
    TestPredictor predictor =
        new TestPredictor(inputs -> {
          throw InferenceException.invalidArgument("no such row");
        });
    try (Batcher batcher = start(4, predictor)) {
      Reply reply = batcher.submit(Inputs.rows(0, 40), List.of(), NONE);

      assertThat(Await.failure(reply).code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
      Await.until(() -> batcher.runningBatches() == 0);
      assertThat(batcher.queuedRequests()).isZero();
      assertThat(batcher.queuedBytes()).isZero();
      assertThat(predictor.batches).hasSize(1);
    }
  }

  @Test
  void pieceThatFailsAfterOthersSucceeded_leaksNothing() {
    TestPredictor predictor =
        new TestPredictor(inputs -> {
          if (TestPredictor.values(inputs.tensor(0)).contains(14f)) {
            throw InferenceException.invalidArgument("14");
          }
          return TestPredictor.same(inputs);
        });
    try (Batcher batcher = start(4, predictor)) {
      Reply big = batcher.submit(Inputs.rows(0, 23), List.of(), NONE);
      Reply small = batcher.submit(Inputs.rows(100, 3), List.of(), NONE);

      assertThat(Await.failure(big)).hasMessage("14");
      assertThat(Inputs.y(Await.outputs(small))).isEqualTo(floats(100, 3));
    }
  }

  @Test
  void cancelledHalfWay_theRestNeverRuns() {
    TestPredictor predictor = TestPredictor.gated();
    try (Batcher batcher = start(4, predictor)) {
      TensorMap inputs = Inputs.rows(0, 12);
      Reply reply = batcher.submit(inputs, List.of(), NONE);
      predictor.pass();
      Await.until(() -> predictor.batches.size() == 2);

      assertThat(reply.cancel(true)).isTrue();
      assertThat(batcher.queuedRequests()).isZero();
      assertThat(inputs.tensor(0).isClosed()).as("still read by the second piece").isFalse();
      predictor.open();
      Await.until(() -> inputs.tensor(0).isClosed());
      assertThat(predictor.batches).hasSize(2);
    }
  }

  @Test
  void deadlineHalfWay_answersAndTheRestNeverRuns() {
    TestPredictor predictor = TestPredictor.gated();
    try (Batcher batcher = start(4, predictor)) {
      TensorMap inputs = Inputs.rows(0, 12);
      Reply reply = batcher.submit(inputs, List.of(), ticker.in(Duration.ofSeconds(1)));
      Await.until(() -> predictor.batches.size() == 1);
      ticker.advance(Duration.ofSeconds(2));
      batcher.expire();

      assertThat(Await.failure(reply).code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED);
      assertThat(inputs.tensor(0).isClosed()).isFalse();
      predictor.open();
      Await.until(() -> inputs.tensor(0).isClosed());
      assertThat(predictor.batches).hasSize(1);
    }
  }

  @Test
  void outputsThatAreNotRowByRow_cannotBeRejoined() {
    TestPredictor predictor =
        new TestPredictor(inputs -> TensorMap.of("y", Tensor.copyOf(Shape.of(1), 1f)));
    try (Batcher batcher = start(4, predictor);
        TensorMap next = Inputs.rows(0, 10)) {
      Reply reply = batcher.submit(Inputs.rows(0, 10), List.of(), NONE);

      InferenceException failure = Await.failure(reply);
      assertThat(failure.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
      assertThat(failure).hasMessageContaining("10 rows").hasMessageContaining("output 'y'");
      InferenceException rejection =
          catchThrowableOfType(
              InferenceException.class, () -> batcher.submit(next, List.of(), NONE));
      assertThat(rejection.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
    }
  }

  @Test
  void piecesWhoseOutputsDoNotFitTogether_failTheRequest() {
    TestPredictor predictor =
        new TestPredictor(inputs -> {
          int rows = (int) inputs.tensor(0).shape().dim(0);
          float first = inputs.tensor(0).toFloats()[0];
          return TensorMap.of(
              "y",
              first == 0
                  ? Tensor.copyOf(Shape.of(rows, 1), new float[rows])
                  : Tensor.copyOf(Shape.of(rows, 2), new float[2 * rows]));
        });
    try (Batcher batcher = start(4, predictor)) {
      Reply reply = batcher.submit(Inputs.rows(0, 8), List.of(), NONE);
      assertThat(Await.failure(reply).code()).isEqualTo(ErrorCode.INTERNAL);
    }
  }

  private static List<Float> floats(int first, int count) {
    return IntStream.range(first, first + count).mapToObj(i -> (float) i).toList();
  }
}

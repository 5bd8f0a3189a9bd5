package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import dev.millrace.batcher.policy.GreedyPolicy;
import dev.millrace.testing.TensorLeakExtension;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class BatcherTest {
  private static final Deadline NONE = Deadline.none();

  private final ManualTicker ticker = new ManualTicker();
  private final Recorder recorder = new Recorder();

  private Batcher start(int maxBatchSize, Predictor... predictors) {
    return start(new BatcherConfig(maxBatchSize, 100, 1 << 20), predictors);
  }

  private Batcher start(BatcherConfig config, Predictor... predictors) {
    return Batcher.start("m", config, List.of(predictors), new GreedyPolicy(), recorder, ticker);
  }

  @Test
  void loneRequest_passesWithoutACopyAndAtOnce() {
    AtomicReference<TensorMap> seen = new AtomicReference<>();
    TestPredictor predictor =
        new TestPredictor(inputs -> {
          seen.set(inputs);
          ticker.advance(Duration.ofMillis(5));
          return TestPredictor.same(inputs);
        });
    try (Batcher batcher = start(8, predictor)) {
      TensorMap inputs = Inputs.x(1, 2);
      Reply reply = batcher.submit(inputs, List.of(), NONE);

      assertThat(Inputs.y(Await.outputs(reply))).containsExactly(1f, 2f);
      assertThat(seen).hasValue(inputs);
      assertThat(inputs.tensor(0).isClosed()).isTrue();
      assertThat(reply.queueNanos()).isZero();
      assertThat(reply.computeNanos()).isEqualTo(Duration.ofMillis(5).toNanos());
    }
    assertThat(recorder.events()).containsExactly("started after 0 ms", "completed 1/2 in 5 ms");
    assertThat(predictor.closed).hasValue(1);
  }

  @Test
  void wakeUpsThatArePutOff_letWhatTheThreadHasAtHandShareABatch() {
    List<Runnable> later = new ArrayList<>();
    TestPredictor predictor = new TestPredictor(TestPredictor::same);
    try (Batcher batcher = startPuttingOff(later, predictor)) {
      List<Reply> replies = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        replies.add(batcher.submit(Inputs.x(i), List.of(), NONE));
      }
      assertThat(batcher.idleRunners()).isEqualTo(1);
      later.forEach(Runnable::run);

      for (int i = 0; i < 3; i++) {
        assertThat(Inputs.y(Await.outputs(replies.get(i)))).containsExactly((float) i);
      }
      assertThat(predictor.batches).containsExactly(List.of(0f, 1f, 2f));
    }
  }

  @Test
  void wakeUpThatIsPutOff_comesThoughTheTimerHasSeenTheRequest() {
    List<Runnable> later = new ArrayList<>();
    try (Batcher batcher = startPuttingOff(later, new TestPredictor(TestPredictor::same))) {
      Deadline far = Deadline.after(Duration.ofMinutes(1), ticker);
      Reply reply = batcher.submit(Inputs.x(1), List.of(), far);
      batcher.expire();
      later.forEach(Runnable::run);

      assertThat(Inputs.y(Await.outputs(reply))).containsExactly(1f);
    }
  }

  @Test
  void wakeUps_arePutOffNoLongerThanAFewRequestsTakeToRead() {
    TestPredictor predictor = new TestPredictor(TestPredictor::same);
    try (Batcher batcher = startPuttingOff(new ArrayList<>(), predictor)) {
      ticker.advance(Duration.ofSeconds(1));
      Reply first = batcher.submit(Inputs.x(0), List.of(), NONE);
      ticker.advance(Duration.ofMillis(1));
      Reply second = batcher.submit(Inputs.x(1), List.of(), NONE);

      assertThat(Inputs.y(Await.outputs(first))).containsExactly(0f);
      assertThat(Inputs.y(Await.outputs(second))).containsExactly(1f);
    }
  }

  private Batcher startPuttingOff(List<Runnable> later, Predictor predictor) {
    Batcher batcher =
        Batcher.of("m", new BatcherConfig(8, 100, 1 << 20), new GreedyPolicy())
            .ticker(ticker)
            .wakeUps(later::add)
            .start(List.of(predictor));
    Await.until(() -> batcher.idleRunners() == 1);
    batcher.expire(); // takes the lock, under which a runner that goes to rest looks once more
    return batcher;
  }

  @Test
  void whatWaits_isMergedInOrderUpToTheCap() {
    TestPredictor predictor = TestPredictor.gated();
    try (Batcher batcher = start(4, predictor)) {
      List<Reply> replies = new ArrayList<>();
      replies.add(batcher.submit(Inputs.x(0), List.of(), NONE));
      Await.until(() -> predictor.batches.size() == 1);
      for (int i = 1; i <= 6; i++) {
        replies.add(batcher.submit(Inputs.x(i), List.of(), NONE));
      }
      assertThat(batcher.queuedRequests()).isEqualTo(6);
      assertThat(batcher.queuedRows()).isEqualTo(6);
      assertThat(batcher.queuedBytes()).isEqualTo(24);
      assertThat(batcher.runningBatches()).isEqualTo(1);
      ticker.advance(Duration.ofMillis(2));
      predictor.open();

      for (int i = 0; i <= 6; i++) {
        assertThat(Inputs.y(Await.outputs(replies.get(i)))).containsExactly((float) i);
      }
      assertThat(replies.get(6).queueNanos()).isEqualTo(Duration.ofMillis(2).toNanos());
      assertThat(predictor.batches)
          .containsExactly(List.of(0f), List.of(1f, 2f, 3f, 4f), List.of(5f, 6f));
      Await.until(() -> batcher.runningBatches() == 0);
      assertThat(batcher.queuedRows()).isZero();
      assertThat(batcher.queuedBytes()).isZero();
    }
    assertThat(recorder.events())
        .contains("started after 2 ms", "completed 4/4 in 0 ms", "completed 2/2 in 0 ms");
  }

  @Test
  void requestsOfSeveralRows_getTheirOwnRowsBack() {
    TestPredictor predictor = TestPredictor.gated();
    try (Batcher batcher = start(8, predictor)) {
      Reply first = batcher.submit(Inputs.x(0), List.of(), NONE);
      Await.until(() -> predictor.batches.size() == 1);
      Reply three = batcher.submit(Inputs.rows(10, 3), List.of(), NONE);
      Reply five = batcher.submit(Inputs.rows(20, 5), List.of(), NONE);
      Reply two = batcher.submit(Inputs.rows(30, 2), List.of(), NONE);
      predictor.open();

      assertThat(Inputs.y(Await.outputs(first))).containsExactly(0f);
      assertThat(Inputs.y(Await.outputs(three))).containsExactly(10f, 11f, 12f);
      assertThat(Inputs.y(Await.outputs(five))).containsExactly(20f, 21f, 22f, 23f, 24f);
      assertThat(Inputs.y(Await.outputs(two))).containsExactly(30f, 31f);
      assertThat(predictor.batches).extracting(List::size).containsExactly(1, 8, 2);
    }
  }

  @Test
  void requestsThatDiffer_doNotShareABatch() {
    TestPredictor predictor = TestPredictor.gated();
    try (Batcher batcher = start(8, predictor)) {
      Reply first = batcher.submit(Inputs.x(0), List.of(), NONE);
      Await.until(() -> predictor.batches.size() == 1);
      Reply plain = batcher.submit(Inputs.x(1), List.of(), NONE);
      Reply requested = batcher.submit(Inputs.x(2), List.of("y"), NONE);
      Reply wide =
          batcher.submit(TensorMap.of("x", Tensor.copyOf(Shape.of(1, 2), 3f, 4f)), List.of(), NONE);
      Reply plainToo = batcher.submit(Inputs.x(5), List.of(), NONE);
      predictor.open();

      for (Reply reply : List.of(first, plain, requested, wide, plainToo)) {
        Await.outputs(reply).close();
      }
      assertThat(predictor.batches)
          .containsExactly(List.of(0f), List.of(1f, 5f), List.of(2f), List.of(3f, 4f));
    }
  }

  @Test
  void parameters_reachThePredictorWhereRequestsAreNotMerged() {
    for (int maxBatchSize : new int[] {0, 8}) {
      List<Parameters> seen = new ArrayList<>();
      Predictor predictor =
          new Predictor() {
            @Override
            public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
              throw new AssertionError("called without parameters");
            }

            @Override
            public TensorMap predict(
                TensorMap inputs, List<String> requestedOutputs, Parameters parameters) {
              seen.add(parameters);
              return TestPredictor.same(inputs);
            }

            @Override
            public void close() {}
          };
      Parameters own = Parameters.copyOf(Map.of("header.x-user", "ann"));
      try (Batcher batcher = start(maxBatchSize, predictor)) {
        Await.outputs(batcher.submit(Inputs.x(1), List.of(), own, NONE, 0)).close();
      }
      assertThat(seen).containsExactly(maxBatchSize == 0 ? own : Parameters.empty());
    }
  }

  @Test
  void requestedOutputs_reachThePredictor() {
    try (Batcher batcher = start(8, new RowModel())) {
      TensorMap outputs = Await.outputs(batcher.submit(Inputs.x(1), List.of("hash"), NONE));
      assertThat(outputs.names()).containsExactly("hash");
      outputs.close();
    }
  }

  @Test
  void idleRunners_eachTakeARequestAtOnce() {
    TestPredictor first = TestPredictor.gated();
    TestPredictor second = TestPredictor.gated();
    TestPredictor third = TestPredictor.gated();
    try (Batcher batcher = start(8, first, second, third)) {
      List<Reply> replies = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        replies.add(batcher.submit(Inputs.x(i), List.of(), NONE));
        int running = i + 1;
        Await.until(() -> batcher.runningBatches() == running);
      }
      assertThat(batcher.queuedRequests()).isZero();
      for (TestPredictor predictor : List.of(first, second, third)) {
        assertThat(predictor.batches).hasSize(1);
        predictor.open();
      }
      for (Reply reply : replies) {
        Await.outputs(reply).close();
      }
    }
  }

  @Test
  void runners_areNamedThreads() {
    Set<String> names = new ConcurrentSkipListSet<>();
    TestPredictor predictor =
        new TestPredictor(inputs -> {
          names.add(Thread.currentThread().getName());
          return TestPredictor.same(inputs);
        });
    try (Batcher batcher = start(8, predictor)) {
      Await.outputs(batcher.submit(Inputs.x(1), List.of(), NONE)).close();
    }
    assertThat(names).containsExactly("m-runner-0");
  }

  @Test
  void withoutBatching_scalarsPassAndNothingIsMergedOrSplit() {
    TestPredictor predictor = TestPredictor.gated();
    try (Batcher batcher = start(0, predictor)) {
      List<Reply> replies = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        TensorMap scalar = TensorMap.of("x", Tensor.copyOf(Shape.scalar(), (float) i));
        replies.add(batcher.submit(scalar, List.of(), NONE));
      }
      replies.add(batcher.submit(Inputs.rows(10, 50), List.of(), NONE));
      predictor.open();
      for (int i = 0; i < 3; i++) {
        assertThat(Inputs.y(Await.outputs(replies.get(i)))).containsExactly((float) i);
      }
      assertThat(Inputs.y(Await.outputs(replies.get(3)))).hasSize(50);
      assertThat(predictor.batches).extracting(List::size).containsExactly(1, 1, 1, 50);
    }
  }

  @Test
  void requestsWithoutRows_runAlone() {
    TestPredictor predictor = TestPredictor.gated();
    try (Batcher batcher = start(8, predictor)) {
      Reply first = batcher.submit(Inputs.x(0), List.of(), NONE);
      Await.until(() -> predictor.batches.size() == 1);
      Reply empty = batcher.submit(Inputs.x(), List.of(), NONE);
      Reply empty2 = batcher.submit(Inputs.x(), List.of(), NONE);
      Reply one = batcher.submit(Inputs.x(1), List.of(), NONE);
      Reply two = batcher.submit(Inputs.x(2), List.of(), NONE);
      predictor.open();

      Await.outputs(first).close();
      assertThat(Inputs.y(Await.outputs(empty))).isEmpty();
      assertThat(Inputs.y(Await.outputs(empty2))).isEmpty();
      assertThat(Inputs.y(Await.outputs(one))).containsExactly(1f);
      assertThat(Inputs.y(Await.outputs(two))).containsExactly(2f);
      assertThat(predictor.batches)
          .containsExactly(List.of(0f), List.of(), List.of(), List.of(1f, 2f));
    }
  }

  @Test
  void noInputs_passAlone() {
    TestPredictor constant = new TestPredictor(inputs -> Inputs.x(1, 2, 3));
    try (Batcher batcher = start(8, constant)) {
      TensorMap outputs = Await.outputs(batcher.submit(TensorMap.empty(), List.of(), NONE));
      assertThat(outputs.tensor(0).shape()).isEqualTo(Shape.of(3, 1));
      outputs.close();
    }
  }

  @Test
  void inputsThatDoNotAgreeInRows_stayTheCallers() {
    try (Batcher batcher = start(8, TestPredictor.echo());
        TensorMap unequal =
            TensorMap.of(
                "a", Tensor.copyOf(Shape.of(2), 1, 2), "b", Tensor.copyOf(Shape.of(1), 1));
        TensorMap scalar = TensorMap.of("a", Tensor.copyOf(Shape.scalar(), 1));
        TensorMap hollow = TensorMap.of("a", Tensor.copyOf(Shape.of(9, 0), new int[0]))) {
      assertRejected(batcher, unequal, ErrorCode.INVALID_ARGUMENT);
      assertRejected(batcher, scalar, ErrorCode.INVALID_ARGUMENT);
      assertRejected(batcher, hollow, ErrorCode.INVALID_ARGUMENT);
      assertThat(batcher.queuedRequests()).isZero();
    }
  }

  @Test
  void fullQueue_rejectsAndSaysWhenToComeBack() {
    TestPredictor predictor =
        TestPredictor.gated(inputs -> {
          ticker.advance(Duration.ofMillis(300));
          return TestPredictor.same(inputs);
        });
    try (Batcher batcher = start(new BatcherConfig(1, 2, 1 << 20), predictor);
        TensorMap tooMuch = Inputs.x(9)) {
      Reply first = batcher.submit(Inputs.x(0), List.of(), NONE);
      Await.until(() -> predictor.batches.size() == 1);
      List<Reply> replies = new ArrayList<>(List.of(first));
      replies.add(batcher.submit(Inputs.x(1), List.of(), NONE));
      replies.add(batcher.submit(Inputs.x(2), List.of(), NONE));

      assertThat(assertRejected(batcher, tooMuch, ErrorCode.RESOURCE_EXHAUSTED).retryAfter())
          .contains(Duration.ofSeconds(1));

      predictor.pass();
      Await.until(() -> predictor.batches.size() == 2);
      replies.add(batcher.submit(Inputs.x(3), List.of(), NONE));
      assertThat(assertRejected(batcher, tooMuch, ErrorCode.RESOURCE_EXHAUSTED).retryAfter())
          .as("two rows of 300 ms in one runner")
          .contains(Duration.ofMillis(600));

      predictor.open();
      replies.forEach(reply -> Await.outputs(reply).close());
    }
    assertThat(recorder.events()).contains("shed QUEUE_FULL");
  }

  @Test
  void aPriority_mayHaveABoundOfItsOwn() {
    TestPredictor predictor = TestPredictor.gated();
    BatcherConfig config = new BatcherConfig(1, 100, 1 << 20, List.of(), null, Map.of(0, 1, 2, 2));
    try (Batcher batcher = start(config, predictor);
        TensorMap tooMuch = Inputs.x(9)) {
      List<Reply> replies = new ArrayList<>();
      replies.add(batcher.submit(Inputs.x(0), List.of(), NONE, 0));
      Await.until(() -> predictor.batches.size() == 1);
      for (int priority : new int[] {0, 1, 1, 1, 2, 2, 3, 3}) {
        replies.add(batcher.submit(Inputs.x(priority), List.of(), NONE, priority));
      }
      for (int full : new int[] {0, 2}) {
        assertThatThrownBy(() -> batcher.submit(tooMuch, List.of(), NONE, full))
            .isInstanceOfSatisfying(
                InferenceException.class,
                e -> assertThat(e.code()).isEqualTo(ErrorCode.RESOURCE_EXHAUSTED));
      }
      assertThat(replies.get(1).cancel(false)).isTrue();
      replies.set(1, batcher.submit(Inputs.x(0), List.of(), NONE, 0));
      predictor.open();
      replies.forEach(reply -> Await.outputs(reply).close());
      Await.outputs(batcher.submit(Inputs.x(2), List.of(), NONE, 2)).close();
    }
  }

  @Test
  void queuedBytes_areBoundedButNotForALoneRequest() {
    TestPredictor predictor = TestPredictor.gated();
    try (Batcher batcher = start(new BatcherConfig(64, 100, 40), predictor);
        TensorMap tooMuch = Inputs.x(9)) {
      Reply first = batcher.submit(Inputs.x(0), List.of(), NONE);
      Await.until(() -> predictor.batches.size() == 1);
      Reply large = batcher.submit(Inputs.rows(0, 50), List.of(), NONE);
      assertRejected(batcher, tooMuch, ErrorCode.RESOURCE_EXHAUSTED);
      predictor.open();
      Await.outputs(first).close();
      Await.outputs(large).close();
      Await.until(() -> batcher.queuedRequests() == 0);
      Await.outputs(batcher.submit(Inputs.rows(0, 10), List.of(), NONE)).close();
    }
  }

  @Test
  void close_finishesWhatWasAcceptedAndRefusesTheRest() throws InterruptedException {
    TestPredictor predictor = TestPredictor.gated();
    Batcher batcher = start(2, predictor);
    List<Reply> replies = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      replies.add(batcher.submit(Inputs.x(i), List.of(), NONE));
    }
    Thread closer = Thread.ofPlatform().start(batcher::close);
    try (TensorMap late = Inputs.x(9)) {
      Await.until(() -> isClosing(batcher, replies));
      assertRejected(batcher, late, ErrorCode.UNAVAILABLE);
    }
    assertThat(predictor.closed).hasValue(0);
    predictor.open();
    closer.join();
    assertThat(replies).allMatch(Reply::isDone);
    replies.forEach(reply -> Await.outputs(reply).close());
    assertThat(predictor.closed).hasValue(1);
    batcher.close();
    assertThat(predictor.closed).hasValue(1);
    assertThat(recorder.events()).contains("shed CLOSING");
  }

  private static boolean isClosing(Batcher batcher, List<Reply> replies) {
    TensorMap probe = Inputs.x(7);
    try {
      replies.add(batcher.submit(probe, List.of(), NONE));
      return false;
    } catch (InferenceException e) {
      probe.close();
      return e.code() == ErrorCode.UNAVAILABLE;
    }
  }

  @Test
  void close_byADependentOfAReply_isRefused() {
    TestPredictor predictor = TestPredictor.gated();
    try (Batcher batcher = start(8, predictor)) {
      Runnable close = batcher::close;
      AtomicReference<Throwable> failure = new AtomicReference<>();
      Reply reply = batcher.submit(Inputs.x(1), List.of(), NONE);
      var done =
          reply.whenComplete((outputs, e) -> {
            outputs.close();
            try {
              close.run();
            } catch (IllegalStateException refusal) {
              failure.set(refusal);
            }
          });
      predictor.open();
      Await.until(done::isDone);
      assertThat(failure.get()).isNotNull();
    }
  }

  @Test
  void listenerThatThrows_harmsNobody() {
    BatchListener broken =
        new BatchListener() {
          @Override
          public void requestStarted(long queueNanos) {
            throw new IllegalStateException("on purpose");
          }

          @Override
          public void batchCompleted(int requests, int rows, long computeNanos) {
            throw new AssertionError("on purpose");
          }
        };
    try (Batcher batcher =
        Batcher.start(
            "m",
            new BatcherConfig(8, 8, 100),
            List.of(TestPredictor.echo()),
            new GreedyPolicy(),
            broken,
            ticker)) {
      assertThat(Inputs.y(Await.outputs(batcher.submit(Inputs.x(1), List.of(), NONE))))
          .containsExactly(1f);
    }
  }

  @Test
  void start_needsAPredictorAndSaneBounds() {
    assertThatThrownBy(() -> start(8)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() ->
            new BatcherConfig(1, 1, 1, List.of(), null, Map.of(Batcher.LOWEST_PRIORITY + 1, 1)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new BatcherConfig(-1, 1, 1))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new BatcherConfig(1, 0, 1))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new BatcherConfig(1, 1, 0))
        .isInstanceOf(IllegalArgumentException.class);
  }

  private static InferenceException assertRejected(
      Batcher batcher, TensorMap inputs, ErrorCode code) {
    InferenceException rejection =
        catchThrowableOfType(
            InferenceException.class, () -> batcher.submit(inputs, List.of(), NONE));
    assertThat(rejection.code()).isEqualTo(code);
    assertThat(inputs.tensor(0).isClosed()).as("stays the caller's").isFalse();
    return rejection;
  }
}

package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import dev.millrace.batcher.policy.GreedyPolicy;
import dev.millrace.testing.TensorLeakExtension;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Many threads at once; afterwards nothing is lost, mixed up or leaked. */
@ExtendWith(TensorLeakExtension.class)
class BatcherStormTest {
  private static final int CAP = 8;
  private static final int CLIENTS = 4;
  private static final DataType[] DATA_TYPES = DataType.values();

  private static Batcher start(Predictor... predictors) {
    return Batcher.start(
        "m",
        new BatcherConfig(CAP, 10_000, 1 << 30),
        List.of(predictors),
        new GreedyPolicy(),
        BatchListener.none(),
        Ticker.system());
  }

  /** Runs clients 0 to {@value #CLIENTS} - 1 at once and waits for them. */
  private static void clients(IntConsumer client) {
    List<Throwable> failures = new CopyOnWriteArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < CLIENTS; i++) {
      int number = i;
      threads.add(
          Thread.ofPlatform()
              .uncaughtExceptionHandler((thread, failure) -> failures.add(failure))
              .start(() -> client.accept(number)));
    }
    threads.forEach(Batcher::join);
    assertThat(failures).isEmpty();
  }

  /** Spends about as long as a small model does, so that a queue builds up. */
  private static Predictor slow(Predictor predictor) {
    return new Predictor() {
      @Override
      public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
        LockSupport.parkNanos(50_000);
        return predictor.predict(inputs, requestedOutputs);
      }

      @Override
      public void close() {
        predictor.close();
      }
    };
  }

  @Test
  void merged_isTheSameAsAlone() {
    try (Batcher batcher = start(slow(new RowModel()), slow(new RowModel()))) {
      clients(client -> {
        Random random = new Random(100 + client);
        for (int round = 0; round < 40; round++) {
          List<TensorMap> sent = new ArrayList<>();
          List<List<String>> requested = new ArrayList<>();
          List<Reply> replies = new ArrayList<>();
          for (int i = 0; i < 10; i++) {
            TensorMap inputs = randomInputs(random);
            List<String> outputs = random.nextInt(4) == 0 ? List.of("hash") : List.of();
            sent.add(inputs);
            requested.add(outputs);
            replies.add(batcher.submit(Inputs.copy(inputs), outputs, Deadline.none()));
          }
          for (int i = 0; i < sent.size(); i++) {
            try (TensorMap inputs = sent.get(i);
                TensorMap expected = new RowModel().predict(inputs, requested.get(i));
                TensorMap actual = Await.outputs(replies.get(i))) {
              Inputs.assertSame(actual, expected);
            }
          }
        }
      });
    }
  }

  /** One of few signatures, so that some merge; 1 to 20 rows, so that some are split. */
  private static TensorMap randomInputs(Random random) {
    int rows = 1 + random.nextInt(random.nextInt(8) == 0 ? 20 : 4);
    int signature = random.nextInt(DATA_TYPES.length);
    DataType dataType = DATA_TYPES[signature];
    Shape inner = signature % 3 == 0 ? Shape.of(rows) : Shape.of(rows, 1 + signature % 3, 2);
    var a = Inputs.random(dataType, inner, random);
    var b = Inputs.random(DataType.BYTES, Shape.of(rows, 1), random);
    return random.nextBoolean() ? TensorMap.of("a", a, "b", b) : TensorMap.of("b", b, "a", a);
  }

  @Test
  void cancellationStorm_runsNothingThatWasCancelledBeforeAndLeaksNothing() {
    Set<Float> entered = ConcurrentHashMap.newKeySet();
    Set<Float> cancelledBefore = ConcurrentHashMap.newKeySet();
    AtomicInteger answered = new AtomicInteger();
    AtomicInteger cancelled = new AtomicInteger();
    Predictor model =
        new TestPredictor(inputs -> {
          entered.addAll(TestPredictor.values(inputs.tensor(0)));
          LockSupport.parkNanos(20_000);
          return TestPredictor.same(inputs);
        });
    try (Batcher batcher = start(model)) {
      clients(client -> {
        Random random = new Random(client);
        List<TensorMap> sent = new ArrayList<>();
        List<Reply> replies = new ArrayList<>();
        for (int i = 0; i < 1_000; i++) {
          float[] values = new float[random.nextInt(20) == 0 ? 3 * CAP : 1];
          Arrays.fill(values, client * 10_000 + i);
          TensorMap inputs = Inputs.x(values);
          sent.add(inputs);
          replies.add(batcher.submit(inputs, List.of(), Deadline.none()));
          if (random.nextBoolean()) {
            int victim = i - Math.min(i, random.nextInt(10));
            float id = client * 10_000 + victim;
            // Freed without having been entered: it was dropped from the queue.
            if (replies.get(victim).cancel(true)
                && sent.get(victim).tensor(0).isClosed()
                && !entered.contains(id)) {
              cancelledBefore.add(id);
            }
          }
        }
        for (Reply reply : replies) {
          Await.until(reply::isDone);
          if (reply.isCancelled()) {
            cancelled.incrementAndGet();
          } else {
            reply.join().close();
            answered.incrementAndGet();
          }
        }
      });
      Await.until(() -> batcher.runningBatches() == 0);
      assertThat(batcher.queuedRequests()).isZero();
      assertThat(batcher.queuedRows()).isZero();
      assertThat(batcher.queuedBytes()).isZero();
    }
    assertThat(answered.get() + cancelled.get()).isEqualTo(CLIENTS * 1_000);
    assertThat(cancelled.get()).isGreaterThan(CLIENTS * 100);
    assertThat(cancelledBefore).hasSizeGreaterThan(100).doesNotContainAnyElementsOf(entered);
  }

  @Test
  void deadlineStorm_answersEverybody() {
    AtomicInteger late = new AtomicInteger();
    try (Batcher batcher = start(slow(new RowModel()))) {
      clients(client -> {
        Random random = new Random(client);
        List<Reply> replies = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
          Deadline deadline =
              Deadline.after(
                  Duration.ofNanos(1_000_000 + random.nextInt(20_000_000)), Ticker.system());
          TensorMap inputs = Inputs.rows(i, random.nextInt(20) == 0 ? 20 : 1);
          try {
            replies.add(batcher.submit(inputs, List.of(), deadline));
          } catch (InferenceException e) {
            inputs.close();
            assertThat(e.code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED);
          }
        }
        for (Reply reply : replies) {
          Await.until(reply::isDone);
          if (reply.isCompletedExceptionally()) {
            assertThat(Await.failure(reply).code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED);
            late.incrementAndGet();
          } else {
            reply.join().close();
          }
        }
      });
      Await.until(() -> batcher.runningBatches() == 0);
      assertThat(batcher.queuedBytes()).isZero();
    }
    assertThat(late).hasPositiveValue();
  }

  @Test
  void closeUnderLoad_losesNoAcceptedRequest() {
    long used = BufferPool.shared().usedBytes();
    int accepted = 0;
    for (int round = 0; round < 20; round++) {
      Queue<Reply> replies = new ConcurrentLinkedQueue<>();
      Batcher batcher = start(slow(new RowModel()), slow(new RowModel()));
      clients(client -> {
        if (client == 0) {
          LockSupport.parkNanos(1_000_000);
          batcher.close();
          return;
        }
        while (true) {
          TensorMap inputs = Inputs.rows(client, 1 + client);
          try {
            replies.add(batcher.submit(inputs, List.of(), Deadline.none()));
          } catch (InferenceException e) {
            inputs.close();
            if (e.code() == ErrorCode.UNAVAILABLE) {
              return;
            }
            Thread.onSpinWait();
          }
        }
      });
      assertThat(replies).allMatch(Reply::isDone);
      replies.forEach(reply -> reply.join().close());
      accepted += replies.size();
    }
    assertThat(accepted).isGreaterThan(100);
    assertThat(BufferPool.shared().usedBytes()).isEqualTo(used);
  }
}

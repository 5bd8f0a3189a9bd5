package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.millrace.api.InferenceException;
import dev.millrace.api.TensorMap;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/** Waits for what other threads do, 20 seconds at most. */
final class Await {
  private static final long PATIENCE = TimeUnit.SECONDS.toNanos(20);

  private Await() {}

  static void until(BooleanSupplier condition) {
    long start = System.nanoTime();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime() - start).as("nanoseconds waited").isLessThan(PATIENCE);
      LockSupport.parkNanos(100_000);
    }
  }

  static TensorMap outputs(Reply reply) {
    until(reply::isDone);
    return reply.join();
  }

  /** How a reply failed. */
  static InferenceException failure(Reply reply) {
    until(reply::isDone);
    Throwable failure = catchThrowable(reply::join);
    assertThat(failure).isInstanceOfAny(CompletionException.class, CancellationException.class);
    return InferenceException.of(failure);
  }
}

package dev.millrace.server.http;

import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/** Waits for a condition that another thread brings about. */
public final class Await {
  private static final long PATIENCE_NANOS = 10_000_000_000L;

  private Await() {}

  /** Waits until {@code condition} holds, at most 10 seconds. */
  public static void until(String what, BooleanSupplier condition) {
    long start = System.nanoTime();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - start > PATIENCE_NANOS) {
        throw new AssertionError("did not happen: " + what);
      }
      LockSupport.parkNanos(1_000_000);
    }
  }
}

package dev.millrace.server.llm;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * Bounds retries to a share of the requests, so that they do not bring down the upstreams that are
 * left: each request pays in one fifth of a retry. Up to a hundred are saved up, so that what an
 * upstream had in flight when it died goes elsewhere at once. Thread-safe.
 */
final class RetryBudget {
  private static final int PRICE = 5;
  private static final int MOST = 100 * PRICE;

  private final AtomicInteger balance = new AtomicInteger(MOST);

  /** A request came in. */
  void pay() {
    if (balance.get() < MOST) {
      balance.incrementAndGet();
    }
  }

  /** Whether there may be a retry now. */
  boolean take() {
    int before;
    do {
      before = balance.get();
      if (before < PRICE) {
        return false;
      }
    } while (!balance.compareAndSet(before, before - PRICE));
    return true;
  }
}

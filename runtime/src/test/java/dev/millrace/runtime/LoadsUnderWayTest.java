package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;

class LoadsUnderWayTest {
  private final LoadsUnderWay loads = new LoadsUnderWay();

  @Test
  void nothingIsWaitedForWhereNothingLoads() {
    assertThat(loads.awaitNone(Duration.ZERO)).isTrue();
  }

  @Test
  void waitsForAllOfThem() throws Exception {
    loads.begin();
    loads.begin();
    CountDownLatch waiting = new CountDownLatch(1);
    FutureTask<Boolean> waiter =
        new FutureTask<>(() -> {
          waiting.countDown();
          return loads.awaitNone(Duration.ofMinutes(1));
        });
    Thread.ofVirtual().start(waiter);
    waiting.await();
    loads.end();
    assertThat(waiter.isDone()).isFalse();
    loads.end();
    assertThat(waiter.get()).isTrue();
  }

  @Test
  void waitsNoLongerThanItMay() {
    loads.begin();
    assertThat(loads.awaitNone(Duration.ofMillis(1))).isFalse();
  }

  @Test
  void anInterruptEndsTheWaitAndStays() {
    loads.begin();
    Thread.currentThread().interrupt();
    assertThat(loads.awaitNone(Duration.ofMinutes(1))).isFalse();
    assertThat(Thread.interrupted()).isTrue();
  }
}

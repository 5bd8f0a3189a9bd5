package dev.millrace.batcher.policy;

import static dev.millrace.batcher.policy.Curves.MILLI;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class StandingQueueTest {
  private final StandingQueue queue = new StandingQueue();

  @Test
  void leftovers_standAfterTheInterval() {
    queue.dispatched(5, 0, 0);
    queue.dispatched(5, 0, 99 * MILLI);
    assertThat(queue.isStanding()).isFalse();
    queue.dispatched(5, 0, 100 * MILLI);
    assertThat(queue.isStanding()).isTrue();
    queue.dispatched(0, 0, 101 * MILLI);
    assertThat(queue.isStanding()).isFalse();
  }

  @Test
  void oneEmptyQueue_beginsTheIntervalAnew() {
    queue.dispatched(5, 0, 0);
    queue.dispatched(0, 0, 90 * MILLI);
    queue.dispatched(5, 0, 110 * MILLI);
    assertThat(queue.isStanding()).isFalse();
  }

  @Test
  void interval_isFourLargestBatchesIfThatIsMore() {
    queue.dispatched(5, 100 * MILLI, 0);
    queue.dispatched(5, 100 * MILLI, 300 * MILLI);
    assertThat(queue.isStanding()).isFalse();
    queue.dispatched(5, 100 * MILLI, 400 * MILLI);
    assertThat(queue.isStanding()).isTrue();
  }
}

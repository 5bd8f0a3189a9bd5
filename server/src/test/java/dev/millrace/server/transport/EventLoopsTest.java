package dev.millrace.server.transport;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;

class EventLoopsTest {
  private final List<String> events = new CopyOnWriteArrayList<>();

  private void readTwo() {
    events.add("first");
    EventLoops.frontEnd().afterReading(() -> events.add("after"));
    events.add("second");
  }

  @Test
  void afterReading_comesAfterWhatTheLoopIsAt() {
    try (EventLoops loops = EventLoops.start(1)) {
      loops.group().submit(this::readTwo).syncUninterruptibly();
      loops.group().submit(() -> {}).syncUninterruptibly();
    }
    assertThat(events).containsExactly("first", "second", "after");
  }

  @Test
  void wayNanos_followsWhatWaited() {
    try (EventLoops loops = EventLoops.start(1)) {
      long way =
          loops
              .group()
              .submit(() -> {
                for (int i = 0; i < 100; i++) {
                  EventLoops.waitedSince(System.nanoTime() - 1_000_000_000);
                }
                return EventLoops.frontEnd().wayNanos();
              })
              .syncUninterruptibly()
              .getNow();
      assertThat(way).isBetween(2_000_000_000L, 2_200_000_000L);
      EventLoops.waitedSince(System.nanoTime() - 1_000_000_000);
      assertThat(EventLoops.frontEnd().wayNanos()).isZero();
    }
  }

  @Test
  void afterReading_isAtOnceElsewhere() {
    readTwo();
    assertThat(events).containsExactly("first", "after", "second");
  }
}

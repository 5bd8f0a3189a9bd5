package dev.millrace.server.transport;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;

class EventLoopsTest {
  private final List<String> events = new CopyOnWriteArrayList<>();

  private void readTwo() {
    events.add("first");
    EventLoops.afterReading(() -> events.add("after"));
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
  void afterReading_isAtOnceElsewhere() {
    readTwo();
    assertThat(events).containsExactly("first", "after", "second");
  }
}

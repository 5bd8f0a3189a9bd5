package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.spi.LogListener.DropReason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** A sink that does as a test says, and remembers what it took. */
final class ScriptedSink implements Sink {
  enum Behaviour {
    TAKE,
    FAIL,
    REFUSE,
    HOLD
  }

  final List<String> taken = new CopyOnWriteArrayList<>();
  volatile Behaviour behaviour = Behaviour.TAKE;
  private final List<Answer> held = new ArrayList<>();

  @Override
  public void send(LogMessage message, Answer answer) throws SinkException {
    switch (behaviour) {
      case TAKE -> {
        taken.add(new String(message.value(), UTF_8));
        answer.settled(null);
      }
      case FAIL -> throw SinkException.passing("not now", null);
      case REFUSE -> answer.settled(SinkException.hopeless("never", null, DropReason.TOO_LARGE));
      case HOLD -> {
        taken.add(new String(message.value(), UTF_8));
        synchronized (held) {
          held.add(answer);
        }
      }
    }
  }

  /** Answers what was held. */
  void release() {
    List<Answer> answers;
    synchronized (held) {
      answers = List.copyOf(held);
      held.clear();
    }
    answers.forEach(answer -> answer.settled(null));
  }

  @Override
  public void close(Duration grace) {
    release();
  }
}

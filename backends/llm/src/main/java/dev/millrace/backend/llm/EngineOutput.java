package dev.millrace.backend.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes what an engine prints to the log, line by line with the model's name, and remembers the
 * last lines. Lines without end are cut, control characters left out.
 */
final class EngineOutput {
  private static final Logger LOG = LoggerFactory.getLogger("dev.millrace.llm");
  private static final int LONGEST_LINE = 8 << 10;
  private static final int LINES_KEPT = 6;

  private final String name;
  private final Deque<String> last = new ArrayDeque<>();
  private final Thread thread;

  private EngineOutput(String name, InputStream stream) {
    this.name = name;
    this.thread =
        Thread.ofPlatform().name("llm-output-" + name).daemon().unstarted(() -> pump(stream));
  }

  /** Starts to read {@code stream} to its end. */
  static EngineOutput of(String name, InputStream stream) {
    EngineOutput output = new EngineOutput(name, stream);
    output.thread.start();
    return output;
  }

  /** The last lines, oldest first. */
  List<String> lastLines() {
    synchronized (last) {
      return List.copyOf(last);
    }
  }

  /** Waits until everything is read, at most that long. */
  void awaitEnd(long millis) {
    try {
      thread.join(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void pump(InputStream stream) {
    byte[] chunk = new byte[8 << 10];
    byte[] line = new byte[LONGEST_LINE];
    int length = 0;
    try (stream) {
      for (int count = stream.read(chunk); count >= 0; count = stream.read(chunk)) {
        for (int i = 0; i < count; i++) {
          if (chunk[i] == '\n' || length == LONGEST_LINE) {
            tell(line, length);
            length = 0;
          }
          if (chunk[i] != '\n') {
            line[length++] = chunk[i];
          }
        }
      }
    } catch (IOException e) {
      LOG.debug("{}: reading its output ended", name, e);
    }
    tell(line, length);
  }

  private void tell(byte[] line, int length) {
    String text = new String(line, 0, length, UTF_8).replaceAll("\\p{Cntrl}", "").strip();
    if (text.isEmpty()) {
      return;
    }
    synchronized (last) {
      last.addLast(text);
      if (last.size() > LINES_KEPT) {
        last.removeFirst();
      }
    }
    LOG.info("{}: {}", name, text);
  }
}

package dev.millrace.backend.python;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes what a script prints to the log, line by line with the model's name, whatever it is: lines
 * without end are cut, what is no UTF-8 is replaced, and control characters are shown as such.
 */
final class ScriptOutput {
  private static final Logger LOG = LoggerFactory.getLogger("dev.millrace.python");

  private static final int LONGEST_LINE = 8 << 10;
  private static final int LINES_KEPT = 6;

  private final String name;
  private final Deque<String> last = new ArrayDeque<>();
  private final Thread thread;

  private ScriptOutput(String name, InputStream stream) {
    this.name = name;
    this.thread =
        Thread.ofPlatform().name("python-output-" + name).daemon().unstarted(() -> pump(stream));
  }

  /** Starts to read {@code stream} to its end. */
  static ScriptOutput of(String name, InputStream stream) {
    ScriptOutput output = new ScriptOutput(name, stream);
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
    String text = printable(new String(line, 0, length, UTF_8));
    if (text.isBlank()) {
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

  /** Tells the log of what a script raised, as one message. */
  static void tell(String name, String message, String trace) {
    StringBuilder lines = new StringBuilder();
    for (String line : trace.split("\n", -1)) {
      if (!line.isBlank()) {
        lines.append("\n    ").append(printable(line));
      }
    }
    LOG.warn("{}: the script failed: {}{}", name, printable(message), lines);
  }

  static String printable(String text) {
    StringBuilder shown = new StringBuilder(text.length());
    for (char c : text.stripTrailing().toCharArray()) {
      if (c == '\t' || !Character.isISOControl(c)) {
        shown.append(c);
      } else if (c != '\r') {
        shown.append("\\x%02x".formatted((int) c));
      }
    }
    return shown.toString();
  }
}

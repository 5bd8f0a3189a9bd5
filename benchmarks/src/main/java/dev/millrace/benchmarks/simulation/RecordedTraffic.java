package dev.millrace.benchmarks.simulation;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Requests as they were recorded: a CSV file whose first line is {@code
 * time_ms,rows,deadline_ms,priority}. Times are from the start of the recording and ascend, a
 * deadline counts from its request's time and may be empty for none, priority 0 goes first.
 */
final class RecordedTraffic implements Traffic {
  private static final String HEADER = "time_ms,rows,deadline_ms,priority";

  private final List<Line> lines;

  private record Line(long nanos, int rows, long deadlineNanos, int priority) {}

  private RecordedTraffic(List<Line> lines) {
    this.lines = List.copyOf(lines);
  }

  /**
   * Reads a recording.
   *
   * @throws IllegalArgumentException if a line is not as described, with its number
   */
  static RecordedTraffic read(Path file) {
    try {
      return parse(file.toString(), Files.readAllLines(file));
    } catch (IOException e) {
      throw new UncheckedIOException("the recording cannot be read: " + file, e);
    }
  }

  static RecordedTraffic parse(String name, List<String> text) {
    if (text.isEmpty() || !text.getFirst().strip().equals(HEADER)) {
      throw new IllegalArgumentException(
          "%s has to begin with the line '%s'".formatted(name, HEADER));
    }
    List<Line> lines = new ArrayList<>();
    long last = 0;
    for (int i = 1; i < text.size(); i++) {
      if (text.get(i).isBlank()) {
        continue;
      }
      Line line;
      try {
        line = parse(text.get(i).split(",", -1));
      } catch (NumberFormatException e) {
        throw new IllegalArgumentException(
            "line %d of %s is not numbers: %s".formatted(i + 1, name, text.get(i)), e);
      }
      if (line.nanos < last || line.rows < 1 || line.rows > Workload.CAP || line.priority < 0) {
        throw new IllegalArgumentException(
            "line %d of %s: times ascend, rows are 1 to %d, priorities not negative: %s"
                .formatted(i + 1, name, Workload.CAP, text.get(i)));
      }
      last = line.nanos;
      lines.add(line);
    }
    return new RecordedTraffic(lines);
  }

  private static Line parse(String[] fields) {
    if (fields.length != 4) {
      throw new NumberFormatException("4 fields expected, not " + fields.length);
    }
    long nanos = nanos(fields[0]);
    return new Line(
        nanos,
        Integer.parseInt(fields[1].strip()),
        fields[2].isBlank() ? Long.MAX_VALUE : nanos + nanos(fields[2]),
        Integer.parseInt(fields[3].strip()));
  }

  private static long nanos(String millis) {
    return (long) (Double.parseDouble(millis.strip()) * 1e6);
  }

  /** From its start to its last request. */
  double seconds() {
    return lines.isEmpty() ? 0 : (double) lines.getLast().nanos / 1e9;
  }

  @Override
  public Source begin(SplittableRandom random) {
    Source source =
        new Source() {
          private int next;

          @Override
          protected void advance() {
            if (next == lines.size()) {
              nanos = Arrivals.NEVER;
              return;
            }
            Line line = lines.get(next++);
            nanos = line.nanos;
            rows = line.rows;
            deadlineNanos = line.deadlineNanos;
            priority = line.priority;
          }
        };
    source.advance();
    return source;
  }
}

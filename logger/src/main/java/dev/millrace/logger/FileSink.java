package dev.millrace.logger;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Writes messages to a file, one on a line. Messages are answered when they are in the file: a line
 * is never written in part only.
 */
final class FileSink implements Sink {
  private static final int CHUNK = 64 << 10;

  private final RollingFile file;
  private final List<Answer> waiting = new ArrayList<>();
  private ByteBuffer lines = ByteBuffer.allocate(CHUNK);

  FileSink(RollingFile file) {
    this.file = file;
    file.open();
  }

  @Override
  public void send(LogMessage message, Answer answer) throws SinkException {
    byte[] line = message.value();
    if (lines.remaining() < line.length + 1) {
      flush();
    }
    if (lines.capacity() < line.length + 1) {
      lines = ByteBuffer.allocate(line.length + 1);
    }
    lines.put(line).put((byte) '\n');
    waiting.add(answer);
  }

  @Override
  public void flush() throws SinkException {
    if (waiting.isEmpty()) {
      return;
    }
    SinkException failure = null;
    lines.flip();
    try {
      file.write(lines);
    } catch (IOException e) {
      failure = SinkException.passing("cannot write to " + file + ": " + e, e);
    }
    lines = lines.capacity() > 16 * CHUNK ? ByteBuffer.allocate(CHUNK) : lines.clear();
    List<Answer> answers = List.copyOf(waiting);
    waiting.clear();
    for (Answer answer : answers) {
      answer.settled(failure);
    }
  }

  @Override
  public void close(Duration grace) {
    try {
      flush();
      file.close();
    } catch (SinkException | IOException e) {
      throw new IllegalStateException("closing " + file + " failed", e);
    }
  }
}

package dev.millrace.logger;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Writes messages to a file, one on a line. A file that is full is renamed to {@code name.1}, what
 * was that to {@code name.2}, and so on; the last is deleted. Messages are answered when they are
 * in the file: a line is never written in part only.
 */
final class FileSink implements Sink {
  private static final int CHUNK = 64 << 10;

  private final Path path;
  private final long largest;
  private final int files;
  private final List<Answer> waiting = new ArrayList<>();
  private ByteBuffer lines = ByteBuffer.allocate(CHUNK);
  private @Nullable FileChannel file;
  private long size;

  /**
   * @param largest bytes after which a new file is begun
   * @param files how many are kept, the one that is written to among them
   */
  FileSink(Path path, long largest, int files) {
    this.path = path;
    this.largest = largest;
    this.files = files;
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
      write();
    } catch (IOException e) {
      failure = SinkException.passing("cannot write to " + path + ": " + e, e);
    }
    lines = lines.capacity() > 16 * CHUNK ? ByteBuffer.allocate(CHUNK) : lines.clear();
    List<Answer> answers = List.copyOf(waiting);
    waiting.clear();
    for (Answer answer : answers) {
      answer.settled(failure);
    }
  }

  private void write() throws IOException {
    FileChannel open = file;
    if (open == null || (size > 0 && size + lines.remaining() > largest)) {
      open = next();
    }
    long start = size;
    try {
      while (lines.hasRemaining()) {
        size += open.write(lines, size);
      }
    } catch (IOException e) {
      size = start;
      open.truncate(start);
      throw e;
    }
  }

  /** Opens the file, or a new one if it is full. */
  private FileChannel next() throws IOException {
    FileChannel before = file;
    file = null;
    if (before != null) {
      before.close();
    }
    Path parent = path.toAbsolutePath().getParent();
    if (parent != null) {
      Files.createDirectories(parent);
    }
    if (before != null || (Files.exists(path) && Files.size(path) >= largest)) {
      roll();
    }
    FileChannel open = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    size = open.size();
    file = open;
    return open;
  }

  private void roll() throws IOException {
    Files.deleteIfExists(numbered(files - 1));
    for (int i = files - 2; i >= 0; i--) {
      if (Files.exists(numbered(i))) {
        Files.move(numbered(i), numbered(i + 1), StandardCopyOption.REPLACE_EXISTING);
      }
    }
  }

  private Path numbered(int number) {
    return number == 0 ? path : path.resolveSibling(path.getFileName() + "." + number);
  }

  @Override
  public void close(Duration grace) {
    try {
      flush();
      FileChannel open = file;
      if (open != null) {
        open.close();
      }
    } catch (SinkException | IOException e) {
      throw new IllegalStateException("closing " + path + " failed", e);
    }
  }
}

package dev.millrace.logger;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/**
 * A file of lines. One that is full is renamed to {@code name.1}, what was that to {@code name.2},
 * and so on; the last is deleted. Thread-safe, as the channels of several promises write to one.
 */
final class RollingFile {
  private final Path path;
  private final long largest;
  private final int files;
  private int users;
  private @Nullable FileChannel file;
  private long size;

  /**
   * @param largest bytes after which a new file is begun
   * @param files how many are kept, the one that is written to among them
   */
  RollingFile(Path path, long largest, int files) {
    this.path = path;
    this.largest = largest;
    this.files = files;
  }

  /** Has one more writer, who closes it. */
  synchronized void open() {
    users++;
  }

  /** Closes the file if this was the last writer. */
  synchronized void close() throws IOException {
    FileChannel last = file;
    if (--users == 0 && last != null) {
      file = null;
      last.close();
    }
  }

  /** Writes whole lines; none of them if it fails. */
  synchronized void write(ByteBuffer lines) throws IOException {
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
  public String toString() {
    return path.toString();
  }
}

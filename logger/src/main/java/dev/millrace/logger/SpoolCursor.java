package dev.millrace.logger;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.zip.CRC32C;

/** The file that says how far a spool's messages are removed: a position and its checksum. */
final class SpoolCursor implements AutoCloseable {
  private static final int SIZE = 12;

  private final FileChannel file;
  private long position;

  private SpoolCursor(FileChannel file, long position) {
    this.file = file;
    this.position = position;
  }

  /** Opens the file, or makes it; one that is not whole says that nothing is removed. */
  static SpoolCursor open(Path path) throws IOException {
    FileChannel file =
        FileChannel.open(
            path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    ByteBuffer bytes = ByteBuffer.allocate(SIZE);
    while (bytes.hasRemaining() && file.read(bytes, bytes.position()) > 0) {
      // Reads on.
    }
    bytes.flip();
    boolean whole = bytes.remaining() == SIZE && bytes.getInt(8) == checksum(bytes.getLong(0));
    return new SpoolCursor(file, whole ? bytes.getLong(0) : 0);
  }

  /** Everything before this is removed. */
  long position() {
    return position;
  }

  void save(long reached) throws IOException {
    if (reached == position) {
      return;
    }
    ByteBuffer bytes = ByteBuffer.allocate(SIZE).putLong(reached).putInt(checksum(reached)).flip();
    while (bytes.hasRemaining()) {
      file.write(bytes, bytes.position());
    }
    position = reached;
  }

  private static int checksum(long position) {
    CRC32C checksum = new CRC32C();
    checksum.update(ByteBuffer.allocate(8).putLong(position).flip());
    return (int) checksum.getValue();
  }

  @Override
  public void close() {
    try {
      file.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

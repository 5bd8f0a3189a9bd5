package dev.millrace.logger;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * A file of frames. A frame is a mark, the length of what it holds, the CRC-32C of that and of the
 * length, and then that; numbers are big-endian. The mark is how reading finds back to the frames
 * behind bytes that are damaged.
 */
final class Frames implements AutoCloseable {
  /** Bytes before what a frame holds. */
  static final int HEADER = 12;

  /** Most that a frame may hold. */
  private static final int MOST = 1 << 30;

  private static final int MARK = 0x4d4c5246; // "MLRF"
  private static final int CHUNK = 64 << 10;

  /** What one holds. */
  @SuppressWarnings("ArrayRecordComponent") // handed on at once
  record Frame(byte[] payload) {}

  private final FileChannel file;
  private ByteBuffer buffer = ByteBuffer.allocate(CHUNK).flip();

  /** Position in the file of the buffer's first byte. */
  private long bufferStart;

  /** Nothing is read from here on: it may still be being written. */
  private long end;

  private long skipped;

  /** Reads a file from {@code position} on. */
  Frames(Path path, long position) throws IOException {
    this.file = FileChannel.open(path, StandardOpenOption.READ);
    this.bufferStart = position;
  }

  /** Writes a frame to the end of {@code out}. */
  static void write(ByteArrayOutputStream out, byte[] payload) {
    ByteBuffer header = ByteBuffer.allocate(HEADER);
    header.putInt(MARK).putInt(payload.length).putInt(checksum(payload.length, payload));
    out.writeBytes(header.array());
    out.writeBytes(payload);
  }

  private static int checksum(int length, byte[] payload) {
    CRC32C checksum = new CRC32C();
    checksum.update(ByteBuffer.allocate(4).putInt(length).flip());
    checksum.update(payload);
    return (int) checksum.getValue();
  }

  /**
   * The next whole frame that ends at or before {@code limit}; null if there is none. Damaged bytes
   * before it are {@link #skipped}; an unfinished frame at the end of the file is not.
   */
  @Nullable Frame next(long limit) throws IOException {
    skipped = 0;
    boolean damaged = false;
    end = Math.min(limit, file.size());
    while (true) {
      long left = end - position();
      if (left < HEADER) {
        skipped += damaged ? Math.max(0, left) : 0;
        return null;
      }
      fill(HEADER);
      int at = buffer.position();
      int length = buffer.getInt(at + 4);
      if (buffer.getInt(at) == MARK && length >= 0 && length <= MOST) {
        if (length <= left - HEADER) {
          fill(HEADER + length);
          at = buffer.position();
          byte[] payload = new byte[length];
          buffer.get(at + HEADER, payload);
          if (buffer.getInt(at + 8) == checksum(length, payload)) {
            buffer.position(at + HEADER + length);
            return new Frame(payload);
          }
        } else if (!damaged && !hasLaterMark(left)) {
          return null; // was being written when the process ended
        }
      }
      damaged = true;
      skipped++;
      buffer.position(buffer.position() + 1);
    }
  }

  /** Whether another frame seems to begin in the bytes left. */
  private boolean hasLaterMark(long left) throws IOException {
    fill((int) Math.min(left, MOST));
    for (int at = buffer.position() + 4; at + 4 <= buffer.limit(); at++) {
      if (buffer.getInt(at) == MARK) {
        return true;
      }
    }
    return false;
  }

  /** Damaged bytes that the last call of {@link #next} passed over. */
  long skipped() {
    return skipped;
  }

  /** Where the next frame is read from. */
  long position() {
    return bufferStart + buffer.position();
  }

  /** Has at least {@code count} bytes in the buffer, which are in the file. */
  private void fill(int count) throws IOException {
    if (buffer.remaining() >= count) {
      return;
    }
    bufferStart += buffer.position();
    if (buffer.capacity() < count) {
      ByteBuffer larger = ByteBuffer.allocate(Math.max(count, CHUNK));
      buffer = larger.put(buffer);
    } else if (buffer.capacity() > 16 * CHUNK && count <= CHUNK) {
      ByteBuffer smaller = ByteBuffer.allocate(Math.max(CHUNK, buffer.remaining()));
      buffer = smaller.put(buffer);
    } else {
      buffer.compact();
    }
    buffer.limit((int) Math.min(buffer.capacity(), end - bufferStart));
    while (buffer.position() < count) {
      if (file.read(buffer, bufferStart + buffer.position()) < 0) {
        buffer.flip();
        throw new IOException("the file has become shorter");
      }
    }
    buffer.flip();
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

package dev.millrace.backend.tensorflow;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Reads a file of records as TensorFlow's TFRecord has them ({@code record_writer.h}): the length
 * in eight bytes, its checksum in four, the data, and their checksum; all little-endian. A checksum
 * is a CRC-32C, rotated and moved so that it is not the checksum of something that holds one.
 */
final class TfRecords {
  private static final int MASK_DELTA = 0xa282ead8;
  private static final int HEADER_SIZE = 12;

  private final DataInputStream in;
  private final long maxLength;

  /** Reads from {@code in}, which stays the caller's; no record may be longer than that. */
  TfRecords(InputStream in, long maxLength) {
    this.in = new DataInputStream(in);
    this.maxLength = Math.min(maxLength, Integer.MAX_VALUE - 8);
  }

  /**
   * The next record; null at the end of the file.
   *
   * @throws IOException if it is cut off, or a checksum does not fit
   */
  byte @Nullable [] next() throws IOException {
    byte[] header = in.readNBytes(HEADER_SIZE);
    if (header.length == 0) {
      return null;
    }
    if (header.length < HEADER_SIZE) {
      throw new EOFException("the record is cut off");
    }
    ByteBuffer fields = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
    long length = fields.getLong();
    if (fields.getInt() != checksum(header, Long.BYTES)) {
      throw new IOException("the checksum of the record's length does not fit");
    }
    if (length < 0 || length > maxLength) {
      throw new EOFException("the record is cut off");
    }
    byte[] data = in.readNBytes((int) length);
    byte[] footer = in.readNBytes(Integer.BYTES);
    if (data.length < length || footer.length < Integer.BYTES) {
      throw new EOFException("the record is cut off");
    }
    int expected = ByteBuffer.wrap(footer).order(ByteOrder.LITTLE_ENDIAN).getInt();
    if (expected != checksum(data, data.length)) {
      throw new IOException("the checksum of the record does not fit");
    }
    return data;
  }

  /** The masked checksum of the first {@code length} bytes. */
  static int checksum(byte[] bytes, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, 0, length);
    return Integer.rotateRight((int) crc.getValue(), 15) + MASK_DELTA;
  }
}

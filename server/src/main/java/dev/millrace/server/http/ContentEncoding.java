package dev.millrace.server.http;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.server.transport.DirectMemory;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.ByteBufInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Locale;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.GZIPInputStream;
import java.util.zip.Inflater;
import java.util.zip.InflaterInputStream;
import org.jspecify.annotations.Nullable;

/** How a body is compressed. */
enum ContentEncoding {
  IDENTITY,
  GZIP,
  /**
   * The zlib format; on the way in, bare deflate is taken as well, for clients that confuse them.
   */
  DEFLATE;

  /** What {@code Accept-Encoding} says of this server. */
  static final String SUPPORTED = "gzip, deflate";

  private static final byte[] GZIP_HEADER = {0x1f, (byte) 0x8b, 8, 0, 0, 0, 0, 0, 4, (byte) 0xff};

  /**
   * The encoding that a request names; null if it is not supported.
   *
   * @param header the value of {@code Content-Encoding}, null if there is none
   */
  static @Nullable ContentEncoding of(@Nullable String header) {
    if (header == null) {
      return IDENTITY;
    }
    return switch (header.trim().toLowerCase(Locale.ROOT)) {
      case "", "identity" -> IDENTITY;
      case "gzip", "x-gzip" -> GZIP;
      case "deflate" -> DEFLATE;
      default -> null;
    };
  }

  /**
   * The best encoding that a client accepts: the one with the highest q-value, the first named
   * where they are equal. Identity if it accepts none of these.
   *
   * @param header the value of {@code Accept-Encoding}, null if there is none
   */
  static ContentEncoding accepted(@Nullable String header) {
    if (header == null || header.isEmpty()) {
      return IDENTITY;
    }
    ContentEncoding best = IDENTITY;
    double bestQuality = 0;
    for (String item : header.split(",", -1)) {
      int semicolon = item.indexOf(';');
      String name = semicolon < 0 ? item : item.substring(0, semicolon);
      ContentEncoding encoding = name.isBlank() ? null : of(name);
      double quality = semicolon < 0 ? 1 : quality(item.substring(semicolon + 1));
      if (encoding != null && quality > bestQuality) {
        best = encoding;
        bestQuality = quality;
      }
    }
    return best;
  }

  private static double quality(String parameters) {
    String text = parameters.replace(" ", "").toLowerCase(Locale.ROOT);
    if (!text.startsWith("q=")) {
      return 1;
    }
    try {
      return Double.parseDouble(text.substring(2));
    } catch (NumberFormatException e) {
      return 0;
    }
  }

  /**
   * The decompressed {@code body}, which stays the caller's.
   *
   * @throws TooLarge if that would be more than {@code limit} bytes
   * @throws InferenceException INVALID_ARGUMENT if it is not in this format, RESOURCE_EXHAUSTED if
   *     there is no memory for it
   */
  ByteBuf decompress(ByteBufAllocator allocator, ByteBuf body, int limit) {
    int size = (int) Math.min(limit, Math.max(256, 4L * body.readableBytes()));
    DirectMemory.requireForRequest(size);
    ByteBuf out = allocator.directBuffer(size);
    Inflater inflater = new Inflater(this == DEFLATE && !isZlib(body));
    try (InputStream in = open(body.slice(), inflater)) {
      while (true) {
        int room = Math.min(1 << 16, limit - out.readableBytes() + 1);
        if (room > out.writableBytes()) {
          DirectMemory.requireForRequest(out.capacity()); // it moves to a larger one
        }
        if (out.writeBytes(in, room) < 0) {
          return out;
        }
        if (out.readableBytes() > limit) {
          throw new TooLarge();
        }
      }
    } catch (IOException e) {
      out.release();
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "failed to decompress the %s body: %s"
              .formatted(name().toLowerCase(Locale.ROOT), text(e)),
          e);
    } catch (RuntimeException e) {
      out.release();
      throw e;
    } finally {
      inflater.end();
    }
  }

  private InputStream open(ByteBuf body, Inflater inflater) throws IOException {
    InputStream compressed = new ByteBufInputStream(body);
    return this == GZIP
        ? new GZIPInputStream(compressed, 8192)
        : new InflaterInputStream(compressed, inflater, 8192);
  }

  private static String text(IOException e) {
    return e.getMessage() == null ? "it ends too early" : e.getMessage();
  }

  private static boolean isZlib(ByteBuf body) {
    return body.readableBytes() >= 2
        && (body.getByte(body.readerIndex()) & 0x0f) == 8
        && body.getUnsignedShort(body.readerIndex()) % 31 == 0;
  }

  /** Appends the compressed bytes of {@code parts}, which stay the caller's, to {@code out}. */
  void compress(List<ByteBuf> parts, ByteBuf out) {
    Deflater deflater = new Deflater(Deflater.BEST_SPEED, this == GZIP);
    try {
      CRC32 checksum = new CRC32();
      if (this == GZIP) {
        out.writeBytes(GZIP_HEADER);
      }
      for (ByteBuf part : parts) {
        for (ByteBuffer bytes : part.nioBuffers()) {
          checksum.update(bytes.duplicate());
          deflater.setInput(bytes);
          while (!deflater.needsInput()) {
            deflate(deflater, out);
          }
        }
      }
      deflater.finish();
      while (!deflater.finished()) {
        deflate(deflater, out);
      }
      if (this == GZIP) {
        out.writeIntLE((int) checksum.getValue());
        out.writeIntLE((int) deflater.getBytesRead());
      }
    } finally {
      deflater.end();
    }
  }

  private static void deflate(Deflater deflater, ByteBuf out) {
    out.ensureWritable(4096);
    ByteBuffer room = out.nioBuffer(out.writerIndex(), out.writableBytes());
    out.writerIndex(out.writerIndex() + deflater.deflate(room));
  }

  /** A decompressed body is beyond the limit. */
  static final class TooLarge extends RuntimeException {
    private static final long serialVersionUID = 1;

    TooLarge() {
      super(null, null, false, false);
    }
  }
}

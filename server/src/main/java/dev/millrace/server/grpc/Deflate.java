package dev.millrace.server.grpc;

import io.grpc.Codec;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.InflaterInputStream;

/**
 * The message encoding {@code deflate}, which is zlib's format (RFC 1950). gRPC's C core, and so
 * its clients in Python and C++, send it; grpc-java knows gzip only.
 */
final class Deflate implements Codec {
  @Override
  public String getMessageEncoding() {
    return "deflate";
  }

  @Override
  public OutputStream compress(OutputStream stream) {
    return new DeflaterOutputStream(stream);
  }

  @Override
  public InputStream decompress(InputStream stream) {
    return new InflaterInputStream(stream);
  }
}

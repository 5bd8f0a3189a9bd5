package dev.millrace.server.grpc;

import io.grpc.Decompressor;
import io.grpc.DecompressorRegistry;
import java.io.InputStream;
import java.util.zip.InflaterInputStream;

/** Reads messages with the encoding {@code deflate}, which C and Python clients can send. */
final class DeflateDecompressor implements Decompressor {
  /** The encodings of grpc-java and this one. */
  static DecompressorRegistry registry() {
    return DecompressorRegistry.getDefaultInstance().with(new DeflateDecompressor(), true);
  }

  @Override
  public String getMessageEncoding() {
    return "deflate";
  }

  @Override
  public InputStream decompress(InputStream compressed) {
    return new InflaterInputStream(compressed);
  }
}

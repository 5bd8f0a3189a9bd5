package dev.millrace.server.http;

import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpRequestDecoder;

/** Netty's decoder with this server's limits. */
final class RequestDecoder extends HttpRequestDecoder {
  /** Largest piece in which a body comes. */
  private static final int MAX_PIECE = 1 << 20;

  RequestDecoder(HttpConfig config) {
    super(
        new HttpDecoderConfig()
            .setMaxInitialLineLength(config.maxHeaderSize())
            .setMaxHeaderSize(config.maxHeaderSize())
            .setMaxChunkSize(MAX_PIECE));
  }

  /** Both lengths in one request are how requests are smuggled: it is refused. */
  @Override
  protected void handleTransferEncodingChunkedWithContentLength(HttpMessage message) {
    throw new IllegalArgumentException("both Content-Length and Transfer-Encoding are given");
  }
}

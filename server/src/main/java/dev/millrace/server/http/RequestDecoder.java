package dev.millrace.server.http;

import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpRequestDecoder;

/** Netty's decoder with this server's limits. */
final class RequestDecoder extends HttpRequestDecoder {
  /** Largest piece in which a body comes. */
  private static final int MAX_PIECE = 1 << 20;

  private boolean tookBytes;

  RequestDecoder(HttpConfig config) {
    super(
        new HttpDecoderConfig()
            .setMaxInitialLineLength(config.maxHeaderSize())
            .setMaxHeaderSize(config.maxHeaderSize())
            .setMaxChunkSize(MAX_PIECE));
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) throws Exception {
    tookBytes = true;
    super.channelRead(ctx, message);
  }

  /** Whether bytes have come since this was last asked: the end of a read may bring none. */
  boolean tookBytes() {
    boolean took = tookBytes;
    tookBytes = false;
    return took;
  }

  /** Both lengths in one request are how requests are smuggled: it is refused. */
  @Override
  protected void handleTransferEncodingChunkedWithContentLength(HttpMessage message) {
    throw new IllegalArgumentException("both Content-Length and Transfer-Encoding are given");
  }
}

package dev.millrace.server.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.util.AsciiString;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What an exchange is answered with; owns the memory of the body until {@link #first} and {@link
 * #rest} are written. Made by whoever answers, then the event loop's.
 */
final class HttpResponse {
  private static final Logger LOG = LoggerFactory.getLogger(HttpResponse.class);

  private final int status;
  private final @Nullable AsciiString contentType;

  /** Names and values in turn. */
  private final List<String> headers;

  private ByteBuf body;
  private List<ByteBuf> rest;
  private @Nullable Runnable whenSent;
  private ContentEncoding encoding = ContentEncoding.IDENTITY;

  HttpResponse(
      int status,
      @Nullable AsciiString contentType,
      List<String> headers,
      ByteBuf body,
      List<ByteBuf> rest,
      @Nullable Runnable whenSent) {
    this.status = status;
    this.contentType = contentType;
    this.headers = headers;
    this.body = body;
    this.rest = rest;
    this.whenSent = whenSent;
  }

  int status() {
    return status;
  }

  /** Bytes of the body. */
  long size() {
    long size = body.readableBytes();
    for (int i = 0; i < rest.size(); i++) {
      size += rest.get(i).readableBytes();
    }
    return size;
  }

  /** Compresses the body; leaves it as it is if that fails. */
  void compress(ContentEncoding wanted, ByteBufAllocator allocator) {
    int guess = Math.max(1024, (int) Math.min(1 << 20, size() / 4));
    ByteBuf compressed = ResponseHead.newBody(allocator, guess);
    List<ByteBuf> parts = new ArrayList<>(rest.size() + 1);
    parts.add(body);
    parts.addAll(rest);
    try {
      wanted.compress(parts, compressed);
    } catch (RuntimeException | OutOfMemoryError e) {
      LOG.warn("an answer could not be compressed", e);
      compressed.release();
      return;
    }
    free();
    body = compressed;
    rest = List.of();
    whenSent = null;
    encoding = wanted;
  }

  /** The first part of the body with the head before it. */
  ByteBuf first(ResponseHead head, boolean close, boolean http10) {
    head.begin(status).contentType(contentType).contentLength(size()).contentEncoding(encoding);
    for (int i = 0; i < headers.size(); i += 2) {
      head.header(headers.get(i), headers.get(i + 1));
    }
    return head.connection(close, http10).before(body);
  }

  /** The other parts. */
  List<ByteBuf> rest() {
    return rest;
  }

  /** To be called when the memory of all parts is free again. */
  @Nullable Runnable whenSent() {
    return whenSent;
  }

  /** Frees the body: it is not going to be sent. */
  void free() {
    body.release();
    rest.forEach(ByteBuf::release);
    if (whenSent != null) {
      whenSent.run();
    }
  }
}

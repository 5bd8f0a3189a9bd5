package dev.millrace.server.http;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.util.Objects.requireNonNull;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.util.AsciiString;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import org.jspecify.annotations.Nullable;

/**
 * The body of an answer that comes piece by piece, made by {@link HttpExchange#stream}. Everything
 * happens on the exchange's event loop.
 *
 * <p>Pieces that are written before the answers to earlier requests are out wait; so a writer stops
 * while {@link #isWritable} says no, and goes on when it is called back. After the client has gone,
 * pieces are freed and nothing else happens: {@link HttpExchange#onAbort} tells.
 */
public final class ResponseStream {
  /** Largest piece that is copied, to be sent as one chunk with the others of its time. */
  private static final int COPIED = 2 << 10;

  /** Most bytes that are gathered for a chunk. */
  private static final int MOST_GATHERED = 32 << 10;

  /** Room in front of a chunk for its size, in eight digits at most, and the end of that line. */
  private static final int CHUNK_HEAD = 10;

  private static final ByteBuf END_OF_CHUNK =
      Unpooled.unreleasableBuffer(Unpooled.directBuffer(2).writeBytes("\r\n".getBytes(US_ASCII)));
  private static final byte[] LAST_CHUNK = "0\r\n\r\n".getBytes(US_ASCII);
  private static final byte[] DIGITS = "0123456789abcdef".getBytes(US_ASCII);

  private final HttpExchange exchange;
  private final HttpConnection connection;
  private final int status;
  private final @Nullable AsciiString contentType;

  /** Names and values in turn. */
  private final List<String> headers;

  private final Runnable whenWritable;
  private final Queue<ByteBuf> early = new ArrayDeque<>(2);

  /** Small pieces since the last chunk, behind room for the head of theirs. */
  private @Nullable ByteBuf gathered;

  /** How large the last chunk was that was gathered: the next one may be as large. */
  private int lastGathered;

  private boolean begun;
  private boolean ended;
  private boolean broken;
  private boolean closed;

  ResponseStream(
      HttpExchange exchange,
      HttpConnection connection,
      int status,
      @Nullable AsciiString contentType,
      List<String> headers,
      Runnable whenWritable) {
    this.exchange = exchange;
    this.connection = connection;
    this.status = status;
    this.contentType = contentType;
    this.headers = headers;
    this.whenWritable = whenWritable;
  }

  int status() {
    return status;
  }

  /** Whether the client takes more. */
  public boolean isWritable() {
    return begun && !closed && connection.context().channel().isWritable();
  }

  /** Adds a piece, which is taken over; it goes out with the next {@link #flush}. */
  public void write(ByteBuf piece) {
    if (closed || ended || !piece.isReadable()) {
      piece.release();
    } else if (!begun) {
      early.add(piece);
    } else {
      send(piece);
    }
  }

  private void send(ByteBuf piece) {
    ChannelHandlerContext context = connection.context();
    int size = piece.readableBytes();
    if (exchange.isHttp10()) {
      connection.responses().written();
      var _ = context.write(piece);
    } else if (size <= COPIED) {
      ByteBuf chunk = gathered;
      if (chunk != null && chunk.readableBytes() + size > MOST_GATHERED) {
        endChunk();
        chunk = gathered;
      }
      if (chunk == null) {
        int room = Math.max(size, lastGathered) + CHUNK_HEAD + END_OF_CHUNK.readableBytes();
        chunk = context.alloc().directBuffer(room + LAST_CHUNK.length);
        chunk.setIndex(CHUNK_HEAD, CHUNK_HEAD);
        gathered = chunk;
      }
      chunk.writeBytes(piece);
      piece.release();
    } else {
      endChunk();
      connection.responses().written();
      ByteBuf head = context.alloc().directBuffer(CHUNK_HEAD).setIndex(CHUNK_HEAD, CHUNK_HEAD);
      prefix(head, size);
      var _ = context.write(head);
      var _ = context.write(piece);
      var _ = context.write(END_OF_CHUNK.duplicate());
    }
  }

  /** Writes what was gathered as one chunk. */
  private void endChunk() {
    ByteBuf chunk = gathered;
    if (chunk != null) {
      gathered = null;
      lastGathered = chunk.readableBytes();
      prefix(chunk, lastGathered);
      connection.responses().written();
      var _ = connection.context().write(chunk.writeByte('\r').writeByte('\n'));
    }
  }

  /** Puts the size of a chunk into the room in front of {@code buffer}'s reader index. */
  private static void prefix(ByteBuf buffer, int size) {
    int at = buffer.readerIndex();
    buffer.setByte(--at, '\n');
    buffer.setByte(--at, '\r');
    int rest = size;
    do {
      buffer.setByte(--at, DIGITS[rest & 15]);
      rest >>>= 4;
    } while (rest > 0);
    buffer.readerIndex(at);
  }

  /** Sends what was written. */
  public void flush() {
    if (begun && !closed) {
      endChunk();
      connection.responses().flushUnlessReading();
    }
  }

  /** Ends the answer, after what was written. */
  public void finish() {
    if (closed || ended) {
      return;
    }
    ended = true;
    if (begun) {
      connection.responses().ended(exchange);
    }
  }

  /** Breaks the answer off, so that the client can tell that it is not complete. */
  public void breakOff() {
    if (closed || ended) {
      return;
    }
    broken = true;
    if (begun) {
      var _ = connection.context().close();
    }
  }

  // ---- for the queue of answers

  /**
   * The answers before this one are out: sends the head and what was written.
   *
   * @return whether the answer has come to its end already
   */
  boolean begin(ResponseHead head) {
    if (begun) {
      return ended;
    }
    begun = true;
    ChannelHandlerContext context = connection.context();
    head.begin(status).contentType(contentType);
    for (int i = 0; i < headers.size(); i += 2) {
      head.header(headers.get(i), headers.get(i + 1));
    }
    if (exchange.isHttp10()) {
      exchange.isLast = true;
    } else {
      head.header("Transfer-Encoding", "chunked");
    }
    var _ =
        context.write(
            head.connection(exchange.isLast, exchange.isHttp10())
                .before(ResponseHead.newBody(context.alloc(), 0)));
    connection.responses().written();
    for (ByteBuf piece = early.poll(); piece != null; piece = early.poll()) {
      send(piece);
    }
    if (!ended) {
      endChunk();
    }
    if (broken) {
      var _ = context.close();
    } else if (!ended) {
      connection.eventLoop().execute(this::writable);
    }
    return ended;
  }

  /** Writes the end of the answer. */
  ChannelFuture end() {
    closed = true;
    ChannelHandlerContext context = connection.context();
    ByteBuf chunk = gathered;
    if (exchange.isHttp10()) {
      return context.write(Unpooled.EMPTY_BUFFER);
    } else if (chunk == null) {
      return context.write(context.alloc().directBuffer(LAST_CHUNK.length).writeBytes(LAST_CHUNK));
    }
    gathered = null;
    prefix(chunk, chunk.readableBytes());
    return context.write(chunk.writeByte('\r').writeByte('\n').writeBytes(LAST_CHUNK));
  }

  /** The client may take more again. */
  void writable() {
    if (isWritable() && !ended) {
      requireNonNull(whenWritable).run();
    }
  }

  /** Nobody reads the answer any more. */
  void close() {
    closed = true;
    early.forEach(ByteBuf::release);
    early.clear();
    if (gathered != null) {
      gathered.release();
      gathered = null;
    }
  }
}

package dev.millrace.server.http;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.EventLoop;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.util.AsciiString;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One request and its answer. It is answered once, from any thread, by {@link #respond} or {@link
 * #fail}; later tries are ignored and free what they bring.
 *
 * <p>If the client goes away, the future that the exchange {@linkplain #await awaits} is cancelled.
 */
public final class HttpExchange implements Runnable {
  /** {@code Content-Type} of JSON: exactly this, as clients compare it. */
  public static final AsciiString JSON = AsciiString.cached("application/json");

  /** {@code Content-Type} of bytes. */
  public static final AsciiString OCTET_STREAM = AsciiString.cached("application/octet-stream");

  private static final Logger LOG = LoggerFactory.getLogger(HttpExchange.class);
  private static final VarHandle ANSWERED;

  static {
    try {
      ANSWERED =
          MethodHandles.lookup().findVarHandle(HttpExchange.class, "answered", boolean.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final HttpConnection connection;
  private final @Nullable HttpRequest request;
  private final @Nullable Route route;
  private final long startNanos = System.nanoTime();
  private @Nullable ByteBuf body;

  @SuppressWarnings("unused") // through ANSWERED
  private volatile boolean answered;

  private volatile boolean aborted;
  private volatile @Nullable CompletableFuture<?> awaited;

  // The answer: written before the hop to the event loop, read there.
  private int status;
  private @Nullable AsciiString contentType;
  private ByteBuf responseBody = Unpooled.EMPTY_BUFFER;
  private List<ByteBuf> tail = List.of();
  private @Nullable Runnable release;
  private ContentEncoding encoding = ContentEncoding.IDENTITY;
  private @Nullable List<String> headers;

  // The event loop's own.
  private @Nullable HttpExchange next;
  private boolean ready;
  private boolean closing;
  private boolean lingering;
  private boolean wantsContinue;
  private int bodySize;

  HttpExchange(HttpConnection connection, @Nullable HttpRequest request, @Nullable Route route) {
    this.connection = connection;
    this.request = request;
    this.route = route;
  }

  // ---- the request

  public HttpHeaders headers() {
    return requireRequest().headers();
  }

  private HttpRequest requireRequest() {
    if (request == null) {
      throw new IllegalStateException("the exchange has no request");
    }
    return request;
  }

  /**
   * The decoded value of a variable of the route's path.
   *
   * @throws IllegalArgumentException if the route has none of that name
   * @throws InferenceException INVALID_ARGUMENT if it is not properly encoded
   */
  public String variable(String name) {
    if (route == null) {
      throw new IllegalStateException("the exchange has no route");
    }
    try {
      return route.variable(name, requireRequest().uri());
    } catch (IllegalArgumentException e) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "malformed path: " + e.getMessage(), e);
    }
  }

  /**
   * The request's body, decompressed; empty if there is none. Valid until the handler returns, and
   * beyond if it is retained.
   */
  public ByteBuf body() {
    return body == null ? Unpooled.EMPTY_BUFFER : body;
  }

  // ---- the answer

  /**
   * A buffer for the answer's body, with room before it for its head.
   *
   * @param size bytes that will probably be written; it grows if there are more
   */
  public ByteBuf newBody(int size) {
    return connection
        .allocator()
        .directBuffer(ResponseHead.ROOM + size)
        .setIndex(ResponseHead.ROOM, ResponseHead.ROOM);
  }

  /** Adds a header to the answer; to be called before it is given. */
  public HttpExchange header(String name, String value) {
    if (headers == null) {
      headers = new ArrayList<>(4);
    }
    headers.add(name);
    headers.add(value);
    return this;
  }

  /** Answers without a body. */
  public void respond(int code) {
    respond(code, null, newBody(0), List.of(), null);
  }

  /** Answers; takes {@code content} over, which is best from {@link #newBody}. */
  public void respond(int code, AsciiString type, ByteBuf content) {
    respond(code, type, content, List.of(), null);
  }

  /**
   * Answers with a body of several parts.
   *
   * @param type null for no {@code Content-Type}
   * @param content the first part, best from {@link #newBody}; taken over, as are the others
   * @param more the other parts, in order
   * @param whenSent called when the memory of all parts is free again; on any thread
   */
  public void respond(
      int code,
      @Nullable AsciiString type,
      ByteBuf content,
      List<ByteBuf> more,
      @Nullable Runnable whenSent) {
    if (!ANSWERED.compareAndSet(this, false, true)) {
      free(content, more, whenSent);
      return;
    }
    status = code;
    contentType = type;
    responseBody = content;
    tail = more;
    release = whenSent;
    if (contentSize() >= connection.config().minCompressedSize()) {
      encoding = acceptedEncoding();
    }
    if (encoding == ContentEncoding.IDENTITY) {
      toEventLoop();
    } else if (eventLoop().inEventLoop()) {
      startCompressing();
    } else {
      compress();
      toEventLoop();
    }
  }

  private ContentEncoding acceptedEncoding() {
    return request == null
        ? ContentEncoding.IDENTITY
        : ContentEncoding.accepted(request.headers().get(HttpHeaderNames.ACCEPT_ENCODING));
  }

  private void startCompressing() {
    try {
      connection
          .workers()
          .execute(() -> {
            compress();
            toEventLoop();
          });
    } catch (RejectedExecutionException busy) {
      encoding = ContentEncoding.IDENTITY;
      toEventLoop();
    }
  }

  private void compress() {
    ByteBuf compressed = newBody(Math.max(1024, (int) Math.min(1 << 20, contentSize() / 4)));
    List<ByteBuf> parts = new ArrayList<>(tail.size() + 1);
    parts.add(responseBody);
    parts.addAll(tail);
    encoding.compress(parts, compressed);
    free(responseBody, tail, release);
    responseBody = compressed;
    tail = List.of();
    release = null;
  }

  private void toEventLoop() {
    if (eventLoop().inEventLoop()) {
      connection.answered(this);
      return;
    }
    try {
      eventLoop().execute(() -> connection.answered(this));
    } catch (RejectedExecutionException stopped) {
      discardAnswer();
    }
  }

  /** Answers with what went wrong, as the protocols' {@code {"error": "…"}}. */
  public void fail(Throwable failure) {
    if (answered) {
      return;
    }
    InferenceException error = InferenceException.of(failure);
    if (error.code() == ErrorCode.INTERNAL) {
      LOG.error("{} failed", request == null ? "a request" : request.uri(), failure);
    }
    error
        .retryAfter()
        .ifPresent(delay -> header("Retry-After", Long.toString((delay.toMillis() + 999) / 1000)));
    fail(HttpErrors.status(error.code()), error.getMessage());
  }

  /** Answers with that status and {@code {"error": message}}. */
  public void fail(int code, String message) {
    if (answered) {
      return;
    }
    ByteBuf content = newBody(32 + message.length());
    JsonWriter.to(content).beginObject().name("error").string(message).endObject().finish();
    respond(code, JSON, content);
  }

  /**
   * Answers when {@code future} completes: with its result, or with why it failed. It is cancelled
   * if the client goes away first.
   */
  public <T> void await(CompletableFuture<T> future, Answer<T> answer) {
    awaited = future;
    answer.await(this, future);
    if (aborted) {
      future.cancel(true);
    }
  }

  /** Whether so many bytes are more than the event loop should decode or encode. */
  public boolean isLarge(long bytes) {
    return bytes > connection.config().inlineBodySize();
  }

  /**
   * Runs a part of answering on the workers. What it throws, the client is told.
   *
   * @param refused called instead, before the client is told, if the workers take nothing more
   */
  public void onWorker(Runnable work, Runnable refused) {
    try {
      connection
          .workers()
          .execute(() -> {
            try {
              work.run();
            } catch (RuntimeException e) {
              fail(e);
            }
          });
    } catch (RejectedExecutionException busy) {
      refused.run();
      fail(InferenceException.unavailable("the server is stopping"));
    }
  }

  /** Whether nobody waits for the answer any more. */
  public boolean isAborted() {
    return aborted;
  }

  // ---- for the connection

  EventLoop eventLoop() {
    return connection.eventLoop();
  }

  /** Gives the request to its handler; on the event loop. */
  void dispatch(@Nullable ByteBuf received) {
    body = received;
    if (isLarge(bodySize) || isCompressed()) {
      try {
        connection.workers().execute(this);
      } catch (RejectedExecutionException busy) {
        releaseBody();
        fail(InferenceException.unavailable("the server is stopping"));
      }
    } else {
      run();
    }
  }

  private boolean isCompressed() {
    return body != null && requireRequest().headers().contains(HttpHeaderNames.CONTENT_ENCODING);
  }

  /** Handles the request, on the event loop or a worker. */
  @Override
  public void run() {
    try {
      if (!aborted && (!isCompressed() || decompress()) && route != null) {
        route.handler().handle(this);
      }
    } catch (RuntimeException e) {
      fail(e);
    } finally {
      releaseBody();
    }
  }

  private boolean decompress() {
    ContentEncoding sent =
        ContentEncoding.of(requireRequest().headers().get(HttpHeaderNames.CONTENT_ENCODING));
    if (sent == null) {
      header("Accept-Encoding", ContentEncoding.SUPPORTED);
      fail(501, "Unsupported compression type");
      return false;
    }
    if (sent == ContentEncoding.IDENTITY) {
      return true;
    }
    int limit = connection.config().maxDecompressedSize();
    try {
      ByteBuf decompressed = sent.decompress(connection.allocator(), body(), limit);
      releaseBody();
      body = decompressed;
      return true;
    } catch (ContentEncoding.TooLarge e) {
      fail(413, "the decompressed request body is over the limit of %d bytes".formatted(limit));
      return false;
    }
  }

  private void releaseBody() {
    if (body != null) {
      body.release();
      body = null;
    }
  }

  /** Nobody waits for the answer any more. */
  void abort() {
    aborted = true;
    CompletableFuture<?> future = awaited;
    if (future != null) {
      future.cancel(true);
    }
  }

  /** Frees an answer that cannot be sent. */
  void discardAnswer() {
    free(responseBody, tail, release);
    responseBody = Unpooled.EMPTY_BUFFER;
    tail = List.of();
    release = null;
  }

  private static void free(ByteBuf content, List<ByteBuf> more, @Nullable Runnable whenSent) {
    content.release();
    for (ByteBuf part : more) {
      part.release();
    }
    if (whenSent != null) {
      whenSent.run();
    }
  }

  long contentSize() {
    long size = responseBody.readableBytes();
    for (int i = 0; i < tail.size(); i++) {
      size += tail.get(i).readableBytes();
    }
    return size;
  }

  /** The first part with the head before it. */
  ByteBuf head(ResponseHead head) {
    boolean http10 = request != null && request.protocolVersion().minorVersion() == 0;
    head.begin(status)
        .contentType(contentType)
        .contentLength(contentSize())
        .contentEncoding(encoding);
    if (headers != null) {
      for (int i = 0; i < headers.size(); i += 2) {
        head.header(headers.get(i), headers.get(i + 1));
      }
    }
    return head.connection(closing, http10).before(responseBody);
  }

  boolean isHead() {
    return request != null && request.method().equals(HttpMethod.HEAD);
  }

  List<ByteBuf> tail() {
    return tail;
  }

  @Nullable Runnable release() {
    return release;
  }

  /** Counts the answer, which is being sent. */
  void measure(RouteMeters unrouted) {
    RouteMeters meters = route == null ? unrouted : route.meters();
    meters.answered(status, System.nanoTime() - startNanos);
  }

  @Nullable HttpExchange next() {
    return next;
  }

  void next(HttpExchange later) {
    next = later;
  }

  boolean isReady() {
    return ready;
  }

  void ready() {
    ready = true;
  }

  boolean isClosing() {
    return closing;
  }

  /** The connection closes after this answer. */
  void closing() {
    closing = true;
  }

  boolean isLingering() {
    return lingering;
  }

  /** The client may still be sending when the connection closes. */
  void lingering() {
    lingering = true;
  }

  boolean wantsContinue() {
    return wantsContinue;
  }

  void wantsContinue(boolean wanted) {
    wantsContinue = wanted;
  }

  int bodySize() {
    return bodySize;
  }

  void bodySize(int size) {
    bodySize = size;
  }
}

package dev.millrace.server.http;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.runtime.Trace;
import dev.millrace.server.json.JsonWriter;
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
  private final Trace trace;
  private final long startNanos = System.nanoTime();
  private @Nullable ByteBuf body;

  @SuppressWarnings("unused") // through ANSWERED
  private volatile boolean answered;

  private volatile boolean aborted;
  private volatile @Nullable CompletableFuture<?> awaited;
  private @Nullable Runnable whenAborted;

  private @Nullable HttpResponse response;
  private @Nullable ResponseStream stream;
  private List<String> responseHeaders = List.of();
  private boolean isCompressible;

  // For the event loop alone.

  /** The exchange of the request after this one. */
  @Nullable HttpExchange next;

  /** Whether the response is there. */
  boolean isReady;

  /** Whether the connection closes after the response. */
  boolean isLast;

  /** Whether the client may still be sending then. */
  boolean isLingering;

  /** Whether the client waits to be told to send the body. */
  boolean wantsContinue;

  /** Bytes of the request's body. */
  int bodySize;

  HttpExchange(HttpConnection connection, @Nullable HttpRequest request, @Nullable Route route) {
    this.connection = connection;
    this.request = request;
    this.route = route;
    this.trace =
        request == null || route == null ? Trace.NONE : connection.spans().start(request, route);
  }

  // ---- the request

  /** The request's target as it was sent: path and query. */
  public String target() {
    return requireRequest().uri();
  }

  public HttpHeaders headers() {
    return requireRequest().headers();
  }

  /** The request's headers, with where it stands in a trace, for what answers it. */
  public RequestHeaders requestHeaders() {
    return new RequestHeaders(headers(), trace);
  }

  /** Where the request stands in a trace. */
  public Trace trace() {
    return trace;
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
    return ResponseHead.newBody(connection.allocator(), size);
  }

  /** Adds a header to the answer; to be called before it is given. */
  public HttpExchange header(String name, String value) {
    if (responseHeaders.isEmpty()) {
      responseHeaders = new ArrayList<>(4);
    }
    responseHeaders.add(name);
    responseHeaders.add(value);
    return this;
  }

  /**
   * Lets the answer be compressed if the client accepts that and it is not small. For predictions
   * and the like: Triton compresses these alone, and its client for asyncio says that it accepts
   * compression, but expects none of anything else.
   */
  public HttpExchange compressible() {
    isCompressible = true;
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
    HttpResponse answer = new HttpResponse(code, type, responseHeaders, content, more, whenSent);
    if (!ANSWERED.compareAndSet(this, false, true)) {
      answer.free();
      return;
    }
    response = answer;
    ContentEncoding encoding =
        isCompressible && answer.size() >= connection.config().minCompressedSize()
            ? acceptedEncoding()
            : ContentEncoding.IDENTITY;
    if (encoding == ContentEncoding.IDENTITY) {
      toEventLoop(answer);
    } else {
      compress(answer, encoding);
    }
  }

  private ContentEncoding acceptedEncoding() {
    return request == null
        ? ContentEncoding.IDENTITY
        : ContentEncoding.accepted(request.headers().get(HttpHeaderNames.ACCEPT_ENCODING));
  }

  /** Compresses, on the workers if this is the event loop. */
  private void compress(HttpResponse answer, ContentEncoding encoding) {
    if (!eventLoop().inEventLoop()) {
      answer.compress(encoding, connection.allocator());
      toEventLoop(answer);
      return;
    }
    try {
      connection.workers().execute(() -> compress(answer, encoding));
    } catch (RejectedExecutionException busy) {
      toEventLoop(answer);
    }
  }

  private void toEventLoop(HttpResponse answer) {
    if (eventLoop().inEventLoop()) {
      connection.answered(this);
      return;
    }
    try {
      eventLoop().execute(() -> connection.answered(this));
    } catch (RejectedExecutionException stopped) {
      answer.free();
    }
  }

  /** Answers with what went wrong, as the protocols' {@code {"error": "…"}}. */
  public void fail(Throwable failure) {
    if (answered) {
      return;
    }
    InferenceException error = InferenceException.of(failure);
    if (error.isFault()) {
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
            } catch (RuntimeException | OutOfMemoryError e) {
              fail(e);
            }
          });
    } catch (RejectedExecutionException busy) {
      refused.run();
      fail(InferenceException.unavailable("the server is stopping"));
    }
  }

  /**
   * Answers piece by piece; to be called on the {@link #eventLoop}.
   *
   * @param type null for no {@code Content-Type}
   * @param whenWritable called whenever the client takes more after it did not
   * @return what the pieces are written to; what is, is dropped if the exchange is answered already
   */
  public ResponseStream stream(int code, @Nullable AsciiString type, Runnable whenWritable) {
    ResponseStream opened =
        new ResponseStream(this, connection, code, type, responseHeaders, whenWritable);
    if (aborted || !ANSWERED.compareAndSet(this, false, true)) {
      opened.close();
      return opened;
    }
    stream = opened;
    connection.answered(this);
    return opened;
  }

  /**
   * Has {@code action} run if the client goes away before the answer is complete; to be called on
   * the {@link #eventLoop}, where it runs.
   */
  public void onAbort(Runnable action) {
    if (aborted) {
      action.run();
    } else {
      whenAborted = action;
    }
  }

  /** Whether nobody waits for the answer any more. */
  public boolean isAborted() {
    return aborted;
  }

  /** The event loop of the client's connection. */
  public EventLoop eventLoop() {
    return connection.eventLoop();
  }

  // ---- for the connection

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
    } catch (RuntimeException | OutOfMemoryError e) {
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
    HttpSpans.abort(trace);
    CompletableFuture<?> future = awaited;
    if (future != null) {
      future.cancel(true);
    }
    if (stream != null) {
      stream.close();
    }
    Runnable action = whenAborted;
    if (action != null) {
      whenAborted = null;
      action.run();
    }
  }

  /** Frees an answer that will not be sent. */
  void discard() {
    if (response != null) {
      response.free();
    }
  }

  /** What the exchange is answered by piece by piece; null if it is answered at once. */
  @Nullable ResponseStream stream() {
    return stream;
  }

  /** What the exchange is answered with. */
  HttpResponse response() {
    return requireNonNull(response, "the exchange is not answered");
  }

  boolean isHttp10() {
    return request != null && request.protocolVersion().minorVersion() == 0;
  }

  boolean isHead() {
    return request != null && request.method().equals(HttpMethod.HEAD);
  }

  /** Counts the answer, which is being sent, and ends the request's span. */
  void measure(RouteMeters unrouted) {
    RouteMeters meters = route == null ? unrouted : route.meters();
    int status = stream == null ? response().status() : stream.status();
    meters.answered(status, System.nanoTime() - startNanos);
    HttpSpans.end(trace, status);
  }
}

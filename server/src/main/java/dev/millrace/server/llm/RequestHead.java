package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import dev.millrace.api.spi.Upstream;
import dev.millrace.runtime.Trace;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.opentelemetry.api.trace.Span;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/** Which headers go on, and the head of a request to an upstream. */
final class RequestHead {
  /** Where Anthropic's clients have their key. */
  static final String API_KEY = "x-api-key";

  /** What concerns one connection only, or is said anew. */
  private static final Set<String> OF_CONNECTION =
      inAnyCase(
          "connection",
          "keep-alive",
          "proxy-authenticate",
          "proxy-authorization",
          "proxy-connection",
          "te",
          "trailer",
          "transfer-encoding",
          "upgrade",
          "host",
          "content-length",
          "expect");

  /** What is answered or asked for here, rather than passed on. */
  private static final Set<String> OWN =
      inAnyCase("authorization", API_KEY, "accept-encoding", "content-encoding", "x-request-id");

  private static final Set<String> NOT_BACK =
      inAnyCase("content-type", "date", "server", "x-request-id", "x-should-retry");

  private RequestHead() {}

  /** A set of ASCII texts that has each of them in any case. */
  private static Set<String> inAnyCase(String... texts) {
    Set<String> all = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);
    all.addAll(List.of(texts));
    return all;
  }

  /**
   * A request's head, in a buffer with the room behind it that {@link UpstreamConnection#send}
   * wants.
   *
   * @param span that the upstream's are to be below
   * @param authorization what it says in {@code Authorization}; null for nothing
   * @param apiKey what it says in {@link #API_KEY}; null for nothing
   */
  static ByteBuf write(
      ByteBufAllocator allocator,
      Upstream upstream,
      String method,
      String path,
      HttpHeaders headers,
      Span span,
      @Nullable String authorization,
      @Nullable String apiKey,
      String id,
      int bodySize) {
    StringBuilder head = new StringBuilder(512);
    String base = upstream.address().getRawPath();
    head.append(method).append(' ').append(base == null ? "" : base).append(path);
    head.append(" HTTP/1.1\r\nHost: ").append(upstream.address().getRawAuthority()).append("\r\n");
    forEach(
        headers,
        OWN,
        (name, value) -> {
          if (!Trace.tells(span, name)) {
            line(head, name, value);
          }
        });
    Trace.tellContext(span, (name, value) -> line(head, name, value));
    if (authorization != null) {
      line(head, "Authorization", authorization);
    }
    if (apiKey != null) {
      line(head, "X-API-Key", apiKey);
    }
    if (!id.isEmpty()) {
      line(head, "X-Request-Id", id);
    }
    if (bodySize > 0 || method.equals("POST")) {
      head.append("Content-Length: ").append(bodySize).append("\r\n");
    }
    head.append("\r\n");
    ByteBuf out = allocator.directBuffer(head.length() + UpstreamConnection.room(bodySize));
    out.writeCharSequence(head, ISO_8859_1);
    return out;
  }

  private static void line(StringBuilder head, String name, String value) {
    head.append(name).append(": ").append(value).append("\r\n");
  }

  /** Hands over the headers of an upstream's answer that go back to the client. */
  static void forEachBack(HttpHeaders headers, BiConsumer<String, String> action) {
    forEach(headers, NOT_BACK, action);
  }

  private static void forEach(
      HttpHeaders headers, Set<String> others, BiConsumer<String, String> action) {
    String listed = headers.get(HttpHeaderNames.CONNECTION);
    Set<String> named =
        listed == null ? Set.of() : inAnyCase(listed.strip().split("\\s*,\\s*", -1));
    for (Map.Entry<String, String> header : headers) {
      String name = header.getKey();
      if (!named.contains(name) && !OF_CONNECTION.contains(name) && !others.contains(name)) {
        action.accept(name, header.getValue());
      }
    }
  }
}

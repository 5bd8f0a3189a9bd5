package dev.millrace.server.http;

import dev.millrace.runtime.Headers;
import dev.millrace.runtime.Trace;
import io.netty.handler.codec.http.HttpHeaders;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;

/**
 * The headers of an HTTP request, without those of the connection. If the request is traced, those
 * that say so name its own span, and not the client's.
 */
public record RequestHeaders(HttpHeaders headers, Trace trace) implements Headers {
  private static final Set<String> OF_THE_CONNECTION =
      Set.of(
          "accept-encoding",
          "connection",
          "content-encoding",
          "content-length",
          "expect",
          "keep-alive",
          "te",
          "trailer",
          "transfer-encoding",
          "upgrade");

  @Override
  public void forEach(BiConsumer<String, String> action) {
    for (Map.Entry<String, String> header : headers) {
      String name = header.getKey();
      if (!OF_THE_CONNECTION.contains(name.toLowerCase(Locale.ROOT))
          && !Trace.tells(trace.span(), name)) {
        action.accept(name, header.getValue());
      }
    }
    Trace.tellContext(trace.span(), action);
  }
}

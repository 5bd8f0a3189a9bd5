package dev.millrace.server.http;

import dev.millrace.runtime.Headers;
import io.netty.handler.codec.http.HttpHeaders;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;

/** The headers of an HTTP request, without those of the connection. */
public record RequestHeaders(HttpHeaders headers) implements Headers {
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
      if (!OF_THE_CONNECTION.contains(header.getKey().toLowerCase(Locale.ROOT))) {
        action.accept(header.getKey(), header.getValue());
      }
    }
  }
}

package dev.millrace.server.v1;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.Parameters;
import io.netty.handler.codec.http.HttpHeaders;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * The headers of a request as parameters, for transformers and scripts: {@code header.} and the
 * name in lower case. Headers of the connection are not among them.
 */
final class RequestHeaders {
  private static final String PREFIX = "header.";

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

  private RequestHeaders() {}

  /**
   * The request with its headers beside its own parameters, of which none can pass for a header.
   *
   * @param request taken over
   * @param target what was asked for, which becomes the header {@code :path}
   */
  static InferenceRequest addTo(InferenceRequest request, HttpHeaders headers, String target) {
    Map<String, Object> parameters = new LinkedHashMap<>();
    request
        .parameters()
        .asMap()
        .forEach((key, value) -> {
          if (!key.startsWith(PREFIX)) {
            parameters.put(key, value);
          }
        });
    parameters.put(PREFIX + ":path", target);
    for (Map.Entry<String, String> header : headers) {
      String name = header.getKey().toLowerCase(Locale.ROOT);
      if (!OF_THE_CONNECTION.contains(name)) {
        parameters.merge(PREFIX + name, header.getValue(), (a, b) -> a + ", " + b);
      }
    }
    return new InferenceRequest(
        request.id(),
        request.model(),
        request.inputs(),
        request.requestedOutputs(),
        Parameters.copyOf(parameters),
        request.deadline());
  }
}

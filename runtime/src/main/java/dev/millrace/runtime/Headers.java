package dev.millrace.runtime;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.Parameters;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiConsumer;

/**
 * The headers that a request came with, which become parameters of it where there are transformers:
 * see {@link InferenceRequest#header}. Read while the request is handed over, and not later.
 */
public interface Headers {
  /** No headers. */
  Headers NONE = action -> {};

  /** Tells every name, in upper or lower case, and every value. */
  void forEach(BiConsumer<String, String> action);

  /** The request's place in a trace, which the headers tell of too. */
  default Trace trace() {
    return Trace.NONE;
  }

  /**
   * The request with its headers beside its own parameters, of which none can pass for a header.
   *
   * @param request taken over
   */
  default InferenceRequest addTo(InferenceRequest request) {
    Map<String, Object> parameters = new LinkedHashMap<>();
    request
        .parameters()
        .asMap()
        .forEach((key, value) -> {
          if (!key.startsWith(InferenceRequest.HEADER_PREFIX)) {
            parameters.put(key, value);
          }
        });
    forEach((name, value) ->
        parameters.merge(
            InferenceRequest.HEADER_PREFIX + name.toLowerCase(Locale.ROOT),
            value,
            (a, b) -> a + ", " + b));
    return request.withParameters(Parameters.copyOf(parameters));
  }
}

package dev.millrace.server.http;

import static io.opentelemetry.api.common.AttributeKey.longKey;
import static io.opentelemetry.api.common.AttributeKey.stringKey;

import dev.millrace.runtime.Trace;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanBuilder;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The spans of HTTP requests, by OpenTelemetry's semantic conventions for HTTP. Requests that only
 * ask how things are, by GET, have none: they are those of probes and scrapes. Thread-safe.
 */
final class HttpSpans {
  private static final AttributeKey<String> METHOD = stringKey("http.request.method");
  private static final AttributeKey<String> ROUTE = stringKey("http.route");
  private static final AttributeKey<Long> STATUS = longKey("http.response.status_code");
  private static final AttributeKey<String> SCHEME = stringKey("url.scheme");
  private static final AttributeKey<String> PATH = stringKey("url.path");
  private static final AttributeKey<String> VERSION = stringKey("network.protocol.version");
  private static final AttributeKey<String> USER_AGENT = stringKey("user_agent.original");

  private static final TextMapGetter<HttpHeaders> HEADERS =
      new TextMapGetter<>() {
        @Override
        public @Nullable String get(@Nullable HttpHeaders headers, String name) {
          return headers == null ? null : headers.get(name);
        }
      };

  private final @Nullable Tracer tracer;

  /** Spans made by that tracer, or none. */
  HttpSpans(Optional<Tracer> tracer) {
    this.tracer = tracer.orElse(null);
  }

  /** Starts the span of a request, to be ended by {@link #end} or {@link #abort}. */
  Trace start(HttpRequest request, Route route) {
    if (tracer == null || isQuestion(request.method())) {
      return Trace.NONE;
    }
    String target = request.uri();
    SpanBuilder builder =
        tracer
            .spanBuilder(request.method() + " " + route.template())
            .setSpanKind(SpanKind.SERVER)
            .setParent(
                W3CTraceContextPropagator.getInstance()
                    .extract(Context.root(), request.headers(), HEADERS))
            .setAttribute(METHOD, request.method().name())
            .setAttribute(ROUTE, route.template())
            .setAttribute(SCHEME, "http")
            .setAttribute(
                PATH,
                target.substring(Math.max(0, Router.pathStart(target)), Router.pathEnd(target)));
    Span span = builder.startSpan();
    if (span.isRecording()) {
      span.setAttribute(VERSION, request.protocolVersion().minorVersion() == 0 ? "1.0" : "1.1");
      String agent = request.headers().get(HttpHeaderNames.USER_AGENT);
      if (agent != null) {
        span.setAttribute(USER_AGENT, agent);
      }
    }
    return new Trace(tracer, span);
  }

  private static boolean isQuestion(HttpMethod method) {
    return method.equals(HttpMethod.GET) || method.equals(HttpMethod.HEAD);
  }

  /** Ends a request's span when it is answered. */
  static void end(Trace trace, int status) {
    Span span = trace.span();
    if (span.isRecording()) {
      span.setAttribute(STATUS, status);
      if (status >= 500) {
        span.setAttribute(Trace.ERROR_TYPE, Integer.toString(status));
        span.setStatus(StatusCode.ERROR);
      }
      span.end();
    }
  }

  /** Ends the span of a request whose client has gone. */
  static void abort(Trace trace) {
    Span span = trace.span();
    if (span.isRecording()) {
      span.setAttribute(Trace.ERROR_TYPE, "cancelled");
      span.end();
    }
  }
}

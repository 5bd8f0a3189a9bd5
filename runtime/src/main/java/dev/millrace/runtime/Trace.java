package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.api.trace.TracerProvider;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import java.util.Locale;
import java.util.function.BiConsumer;

/**
 * The place of a request in a distributed trace: its own span, and what makes spans below it.
 * Nothing here depends on the thread, or costs more than a look where nothing is recorded.
 * Thread-safe.
 *
 * @param tracer makes the spans
 * @param span the request's; whoever made it ends it
 */
public record Trace(Tracer tracer, Span span) {
  /** No trace. */
  public static final Trace NONE = new Trace(TracerProvider.noop().get(""), Span.getInvalid());

  /** OpenTelemetry's name for the class of an error. */
  public static final AttributeKey<String> ERROR_TYPE = AttributeKey.stringKey("error.type");

  private static final String TRACEPARENT = "traceparent";
  private static final String TRACESTATE = "tracestate";

  /**
   * Starts a span below the request's, for the caller to end; if that is not recorded, it is the
   * same, and ending it has no effect.
   */
  public Span start(String name) {
    return start(name, SpanKind.INTERNAL);
  }

  /** As above, of another kind. */
  public Span start(String name, SpanKind kind) {
    return span.isRecording()
        ? tracer
            .spanBuilder(name)
            .setParent(Context.root().with(span))
            .setSpanKind(kind)
            .startSpan()
        : span;
  }

  /** Takes note that what {@code span} stands for failed. */
  public static void fail(Span span, InferenceException error) {
    if (span.isRecording()) {
      span.setAttribute(ERROR_TYPE, error.code().name().toLowerCase(Locale.ROOT));
      span.setStatus(StatusCode.ERROR, error.getMessage());
    }
  }

  /**
   * Tells the headers of W3C Trace Context that say that {@code span} is the parent; none if it is
   * of no trace.
   */
  public static void tellContext(Span span, BiConsumer<String, String> action) {
    if (!span.getSpanContext().isValid()) {
      return;
    }
    W3CTraceContextPropagator.getInstance()
        .inject(
            Context.root().with(span),
            action,
            (to, name, value) -> {
              if (to != null) {
                to.accept(name, value);
              }
            });
  }

  /** Whether {@link #tellContext} says what a header of that name, in any case, would. */
  public static boolean tells(Span span, String header) {
    return span.getSpanContext().isValid()
        && (header.equalsIgnoreCase(TRACEPARENT) || header.equalsIgnoreCase(TRACESTATE));
  }
}

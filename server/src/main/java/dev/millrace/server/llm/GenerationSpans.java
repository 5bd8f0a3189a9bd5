package dev.millrace.server.llm;

import static io.opentelemetry.api.common.AttributeKey.longKey;
import static io.opentelemetry.api.common.AttributeKey.stringKey;

import dev.millrace.api.spi.Upstream;
import dev.millrace.runtime.Trace;
import dev.millrace.server.llm.StreamObserver.Usage;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;

/**
 * The spans of what engines are asked, one for each attempt, by OpenTelemetry's semantic
 * conventions for generative AI.
 */
final class GenerationSpans {
  private static final AttributeKey<String> OPERATION = stringKey("gen_ai.operation.name");
  private static final AttributeKey<String> PROVIDER = stringKey("gen_ai.provider.name");
  private static final AttributeKey<String> MODEL = stringKey("gen_ai.request.model");
  private static final AttributeKey<Long> INPUT = longKey("gen_ai.usage.input_tokens");
  private static final AttributeKey<Long> OUTPUT = longKey("gen_ai.usage.output_tokens");
  private static final AttributeKey<String> ADDRESS = stringKey("server.address");
  private static final AttributeKey<Long> PORT = longKey("server.port");

  private GenerationSpans() {}

  /** Starts the span of an attempt. */
  static Span start(Trace trace, Operation operation, String model, Upstream upstream) {
    if (!trace.span().isRecording()) {
      return trace.span();
    }
    Span span = trace.start(operation.label() + " " + model, SpanKind.CLIENT);
    span.setAttribute(OPERATION, operation.label());
    span.setAttribute(PROVIDER, "openai"); // whose API it is
    span.setAttribute(MODEL, model);
    span.setAttribute(ADDRESS, upstream.address().getHost());
    if (upstream.address().getPort() > 0) {
      span.setAttribute(PORT, upstream.address().getPort());
    }
    return span;
  }

  /** The attempt's answer said what it took. */
  static void tokens(Span span, Usage usage) {
    if (usage.input() >= 0) {
      span.setAttribute(INPUT, usage.input());
    }
    if (usage.output() >= 0) {
      span.setAttribute(OUTPUT, usage.output());
    }
  }

  /** The attempt failed. */
  static void fail(Span span, String type, String message) {
    span.setAttribute(Trace.ERROR_TYPE, type);
    span.setStatus(StatusCode.ERROR, message);
  }
}

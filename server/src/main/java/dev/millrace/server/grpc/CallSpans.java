package dev.millrace.server.grpc;

import static io.opentelemetry.api.common.AttributeKey.stringKey;

import dev.millrace.runtime.Trace;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.propagation.TextMapGetter;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The spans of gRPC calls, by OpenTelemetry's semantic conventions for RPC. What probes and tools
 * ask for has none: health, reflection, and whether server or model are ready. Thread-safe.
 */
final class CallSpans implements ServerInterceptor {
  static final Context.Key<Trace> TRACE = Context.keyWithDefault("millrace-trace", Trace.NONE);

  /** The services of gRPC itself. */
  private static final String OF_GRPC = "grpc.";

  private static final Set<String> PROBES = Set.of("ServerLive", "ServerReady", "ModelReady");

  private static final AttributeKey<String> SYSTEM = stringKey("rpc.system.name");
  private static final AttributeKey<String> METHOD = stringKey("rpc.method");
  private static final AttributeKey<String> STATUS = stringKey("rpc.response.status_code");

  private static final TextMapGetter<Metadata> HEADERS =
      new TextMapGetter<>() {
        @Override
        public @Nullable String get(@Nullable Metadata metadata, String name) {
          return metadata == null
              ? null
              : metadata.get(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER));
        }
      };

  private final Tracer tracer;

  CallSpans(Tracer tracer) {
    this.tracer = tracer;
  }

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata metadata, ServerCallHandler<Q, R> next) {
    String method = call.getMethodDescriptor().getFullMethodName();
    if (method.startsWith(OF_GRPC)
        || PROBES.contains(call.getMethodDescriptor().getBareMethodName())) {
      return next.startCall(call, metadata);
    }
    Span span =
        tracer
            .spanBuilder(method)
            .setSpanKind(SpanKind.SERVER)
            .setParent(
                W3CTraceContextPropagator.getInstance()
                    .extract(io.opentelemetry.context.Context.root(), metadata, HEADERS))
            .setAttribute(SYSTEM, "grpc")
            .setAttribute(METHOD, method)
            .startSpan();
    Context context = Context.current().withValue(TRACE, new Trace(tracer, span));
    return new Ended<>(
        Contexts.interceptCall(context, new Answered<>(call, span), metadata, next), span);
  }

  /** Ends the span with the status that a call is closed with. */
  private static final class Answered<Q, R> extends SimpleForwardingServerCall<Q, R> {
    private final Span span;

    Answered(ServerCall<Q, R> call, Span span) {
      super(call);
      this.span = span;
    }

    @Override
    public void close(Status status, Metadata trailers) {
      super.close(status, trailers);
      end(span, status);
    }
  }

  /** Ends the span of a call that its client has given up. */
  private static final class Ended<Q> extends SimpleForwardingServerCallListener<Q> {
    private final Span span;

    Ended(ServerCall.Listener<Q> listener, Span span) {
      super(listener);
      this.span = span;
    }

    @Override
    public void onCancel() {
      end(span, Status.CANCELLED);
      super.onCancel();
    }
  }

  private static void end(Span span, Status status) {
    if (!span.isRecording()) {
      return;
    }
    String code = status.getCode().name();
    span.setAttribute(STATUS, code);
    switch (status.getCode()) {
      // The server's doing; the others are the client's.
      case UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS -> {
        span.setAttribute(Trace.ERROR_TYPE, code);
        String description = status.getDescription();
        span.setStatus(StatusCode.ERROR, description == null ? "" : description);
      }
      default -> {}
    }
    span.end();
  }
}

package dev.millrace.server.grpc;

import dev.millrace.runtime.Headers;
import dev.millrace.runtime.Trace;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import java.util.Set;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The metadata that a gRPC call came with: texts, without those of the transport. If the call is
 * traced, what says so names its own span, and not the client's.
 */
public final class CallHeaders implements Headers {
  private static final Context.Key<Metadata> METADATA = Context.key("millrace-metadata");

  private static final Set<String> OF_THE_TRANSPORT =
      Set.of("content-type", "grpc-accept-encoding", "grpc-encoding", "grpc-timeout", "te");

  private final @Nullable Metadata metadata;
  private final Trace trace;

  private CallHeaders(@Nullable Metadata metadata, Trace trace) {
    this.metadata = metadata;
    this.trace = trace;
  }

  /** Those of the call under way. */
  public static Headers current() {
    return new CallHeaders(METADATA.get(), CallSpans.TRACE.get());
  }

  /** Makes {@link #current} know them. */
  static ServerInterceptor interceptor() {
    return new ServerInterceptor() {
      @Override
      public <Q, R> ServerCall.Listener<Q> interceptCall(
          ServerCall<Q, R> call, Metadata metadata, ServerCallHandler<Q, R> next) {
        return Contexts.interceptCall(
            Context.current().withValue(METADATA, metadata), call, metadata, next);
      }
    };
  }

  @Override
  public Trace trace() {
    return trace;
  }

  @Override
  public void forEach(BiConsumer<String, String> action) {
    if (metadata == null) {
      return;
    }
    for (String name : metadata.keys()) {
      if (name.endsWith(Metadata.BINARY_HEADER_SUFFIX)
          || OF_THE_TRANSPORT.contains(name)
          || Trace.tells(trace.span(), name)) {
        continue;
      }
      Iterable<String> values =
          metadata.getAll(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER));
      if (values != null) {
        values.forEach(value -> action.accept(name, value));
      }
    }
    Trace.tellContext(trace.span(), action);
  }
}

package dev.millrace.server.grpc;

import dev.millrace.runtime.Headers;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import java.util.Set;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/** The metadata that a gRPC call came with: texts, without those of the transport. */
public final class CallHeaders implements Headers {
  private static final Context.Key<Metadata> METADATA = Context.key("millrace-metadata");

  private static final Set<String> OF_THE_TRANSPORT =
      Set.of("content-type", "grpc-accept-encoding", "grpc-encoding", "grpc-timeout", "te");

  private final @Nullable Metadata metadata;

  private CallHeaders(@Nullable Metadata metadata) {
    this.metadata = metadata;
  }

  /** Those of the call under way. */
  public static Headers current() {
    return new CallHeaders(METADATA.get());
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
  public void forEach(BiConsumer<String, String> action) {
    if (metadata == null) {
      return;
    }
    for (String name : metadata.keys()) {
      if (name.endsWith(Metadata.BINARY_HEADER_SUFFIX) || OF_THE_TRANSPORT.contains(name)) {
        continue;
      }
      Iterable<String> values =
          metadata.getAll(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER));
      if (values != null) {
        values.forEach(value -> action.accept(name, value));
      }
    }
  }
}

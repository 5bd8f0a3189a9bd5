package dev.millrace.server.grpc;

import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;

/**
 * Sees how a client wants to be told of a failure in a stream: in a message, after which the stream
 * goes on, or, with the header {@code triton_grpc_error: true}, as the status that ends it.
 */
final class StreamErrors implements ServerInterceptor {
  private static final Metadata.Key<String> HEADER =
      Metadata.Key.of("triton_grpc_error", Metadata.ASCII_STRING_MARSHALLER);

  private static final Context.Key<Boolean> END_STREAM =
      Context.keyWithDefault("triton_grpc_error", false);

  /** Whether the call under way shall end with the first failure. */
  static boolean endStream() {
    return END_STREAM.get();
  }

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    return "true".equals(headers.get(HEADER))
        ? Contexts.interceptCall(Context.current().withValue(END_STREAM, true), call, headers, next)
        : next.startCall(call, headers);
  }
}

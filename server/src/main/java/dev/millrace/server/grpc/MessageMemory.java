package dev.millrace.server.grpc;

import dev.millrace.api.InferenceException;
import dev.millrace.server.transport.DirectMemory;
import io.grpc.Context;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerStreamTracer;
import org.jspecify.annotations.Nullable;

/**
 * Refuses unary calls whose message is large and finds no memory, with RESOURCE_EXHAUSTED. By
 * itself gRPC collects messages until there is none for anybody, and connections break.
 */
final class MessageMemory extends ServerStreamTracer.Factory implements ServerInterceptor {
  /** What a message may take without a look. */
  private static final long SMALL = 256 << 10;

  private static final Context.Key<Arrival> ARRIVAL = Context.key("millrace-arrival");

  @Override
  public ServerStreamTracer newServerStreamTracer(String method, Metadata headers) {
    return new Arrival();
  }

  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
    ServerCall.Listener<Q> listener = next.startCall(call, headers);
    if (call.getMethodDescriptor().getType() != MethodType.UNARY) {
      return listener;
    }
    Arrival arrival = ARRIVAL.get();
    arrival.call = call;
    return new SimpleForwardingServerCallListener<>(listener) {
      @Override
      public void onHalfClose() {
        // The last of a message may be what was too much.
        if (!arrival.refused) {
          super.onHalfClose();
        }
      }
    };
  }

  /** A call's message as it comes in, on the event loop of the connection. */
  private static final class Arrival extends ServerStreamTracer {
    private @Nullable ServerCall<?, ?> call;
    private long bytes;
    private boolean refused;

    @Override
    public Context filterContext(Context context) {
      return context.withValue(ARRIVAL, this);
    }

    @Override
    public void inboundWireSize(long more) {
      bytes += more;
      ServerCall<?, ?> arriving = call;
      if (bytes <= SMALL || arriving == null || refused) {
        return;
      }
      try {
        DirectMemory.requireForRequest(0);
      } catch (InferenceException noMemory) {
        refused = true;
        GrpcErrors.end(arriving, noMemory);
      }
    }
  }
}

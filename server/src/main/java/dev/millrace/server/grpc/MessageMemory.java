package dev.millrace.server.grpc;

import dev.millrace.api.InferenceException;
import dev.millrace.server.transport.DirectMemory;
import io.grpc.Context;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerStreamTracer;
import io.grpc.Status;
import org.jspecify.annotations.Nullable;

/**
 * Ends calls whose message is large and finds no memory, with RESOURCE_EXHAUSTED; a stream gives up
 * what it is doing, as it does when its client is gone. By itself gRPC collects messages until
 * there is none for anybody, and connections break.
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
    Arrival arrival = ARRIVAL.get();
    boolean isUnary = call.getMethodDescriptor().getType() == MethodType.UNARY;
    ServerCall.Listener<Q> listener =
        next.startCall(isUnary ? call : stream(call, arrival), headers);
    arrival.call = call;
    arrival.listener = listener;
    return new SimpleForwardingServerCallListener<>(listener) {
      @Override
      public void onHalfClose() {
        // The last of a message may be what was too much.
        if (!arrival.isOver) {
          super.onHalfClose();
        }
      }
    };
  }

  /** A call that may be over while messages still come. */
  private static <Q, R> ServerCall<Q, R> stream(ServerCall<Q, R> call, Arrival arrival) {
    return new SimpleForwardingServerCall<>(call) {
      @Override
      public void close(Status status, Metadata trailers) {
        arrival.isOver = true;
        super.close(status, trailers);
      }
    };
  }

  /** A call's message as it comes in, on the event loop of the connection. */
  private static final class Arrival extends ServerStreamTracer {
    private @Nullable ServerCall<?, ?> call;
    private ServerCall.@Nullable Listener<?> listener;
    private long bytes;
    private boolean isOver;

    @Override
    public Context filterContext(Context context) {
      return context.withValue(ARRIVAL, this);
    }

    @Override
    public void inboundWireSize(long more) {
      bytes += more;
      if (bytes > SMALL && call != null && listener != null && !isOver) {
        try {
          DirectMemory.requireForRequest(0);
        } catch (InferenceException noMemory) {
          isOver = true;
          GrpcErrors.end(call, noMemory);
          listener.onCancel();
        }
      }
    }

    /** The message is there, and the next one of a stream begins. */
    @Override
    public void inboundMessageRead(int number, long wireSize, long size) {
      bytes = 0;
    }
  }
}

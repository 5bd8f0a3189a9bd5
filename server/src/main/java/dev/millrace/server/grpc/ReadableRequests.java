package dev.millrace.server.grpc;

import dev.millrace.api.InferenceException;
import io.grpc.ForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.Marshaller;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerMethodDefinition;
import io.grpc.ServerServiceDefinition;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.InputStream;

/**
 * Tells a client that its message cannot be read: INVALID_ARGUMENT if it is malformed,
 * RESOURCE_EXHAUSTED if it is too large once decompressed, or if the heap has no room for it. By
 * itself gRPC reports these as UNKNOWN, and logs them as faults of the server.
 *
 * <p>A message that cannot be read comes out of the marshaller as an {@link Unreadable}, which the
 * call's listener answers.
 */
final class ReadableRequests {
  private ReadableRequests() {}

  /** What a message is that could not be read. */
  private record Unreadable(Status status) {}

  static ServerServiceDefinition of(ServerServiceDefinition service) {
    ServiceDescriptor.Builder descriptor =
        ServiceDescriptor.newBuilder(service.getServiceDescriptor().getName())
            .setSchemaDescriptor(service.getServiceDescriptor().getSchemaDescriptor());
    var methods = service.getMethods().stream().map(ReadableRequests::method).toList();
    methods.forEach(method -> descriptor.addMethod(method.getMethodDescriptor()));
    ServerServiceDefinition.Builder readable = ServerServiceDefinition.builder(descriptor.build());
    methods.forEach(readable::addMethod);
    return readable.build();
  }

  private static <Q, R> ServerMethodDefinition<?, ?> method(ServerMethodDefinition<Q, R> method) {
    MethodDescriptor<Q, R> descriptor = method.getMethodDescriptor();
    ServerCallHandler<Q, R> handler = method.getServerCallHandler();
    return ServerMethodDefinition.<Object, R>create(
        descriptor.toBuilder(
                marshaller(descriptor.getRequestMarshaller()), descriptor.getResponseMarshaller())
            .build(),
        (call, headers) ->
            new Listener<>(call, handler.startCall(uncheckedRequests(call), headers)));
  }

  /** The call as its handler knows it; only the listener sees requests. */
  @SuppressWarnings("unchecked")
  private static <Q, R> ServerCall<Q, R> uncheckedRequests(ServerCall<Object, R> call) {
    return (ServerCall<Q, R>) call;
  }

  private static <Q> Marshaller<Object> marshaller(Marshaller<Q> marshaller) {
    return new Marshaller<>() {
      @Override
      public InputStream stream(Object value) {
        throw new UnsupportedOperationException("a server sends no requests");
      }

      @Override
      public Object parse(InputStream stream) {
        try {
          return marshaller.parse(stream);
        } catch (StatusRuntimeException e) {
          return new Unreadable(status(e.getStatus()));
        } catch (OutOfMemoryError e) {
          return new Unreadable(GrpcErrors.status(InferenceException.of(e)));
        }
      }
    };
  }

  /** The status for a client whose message failed with {@code status} in a marshaller. */
  private static Status status(Status status) {
    // The marshallers of grpc-protobuf say so of malformed messages.
    return status.getCode() == Status.Code.INTERNAL
        ? Status.INVALID_ARGUMENT.withDescription(status.getDescription())
        : status;
  }

  private static final class Listener<Q> extends ForwardingServerCallListener<Object> {
    private final ServerCall<Object, ?> call;
    private final ServerCall.Listener<Q> handler;
    private boolean answered;

    Listener(ServerCall<Object, ?> call, ServerCall.Listener<Q> handler) {
      this.call = call;
      this.handler = handler;
    }

    @Override
    @SuppressWarnings("unchecked") // it does not look at the messages
    protected ServerCall.Listener<Object> delegate() {
      return (ServerCall.Listener<Object>) handler;
    }

    @Override
    public void onMessage(Object message) {
      if (message instanceof Unreadable(Status status)) {
        answered = true;
        call.close(status, new Metadata());
        // A stream has to give up what it is doing.
        delegate().onCancel();
      } else if (!answered) {
        super.onMessage(message);
      }
    }

    @Override
    public void onHalfClose() {
      if (!answered) {
        super.onHalfClose();
      }
    }

    @Override
    public void onReady() {
      if (!answered) {
        super.onReady();
      }
    }

    @Override
    public void onCancel() {
      if (!answered) {
        super.onCancel();
      }
    }
  }
}

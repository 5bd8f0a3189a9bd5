package dev.millrace.server.fuzz;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.Marshaller;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.concurrent.TimeUnit;

/** Calls whose messages are sent as they are, whether they are messages or not. */
public final class RawCalls {
  private static final CallOptions SOON = CallOptions.DEFAULT;

  private RawCalls() {}

  private static MethodDescriptor<byte[], byte[]> method(String name, MethodType type) {
    return MethodDescriptor.newBuilder(Bytes.MARSHALLER, Bytes.MARSHALLER)
        .setType(type)
        .setFullMethodName(name)
        .build();
  }

  /**
   * How a call ends.
   *
   * @param name of service and method
   */
  public static Status unary(Channel channel, String name, byte[] message) {
    try {
      var _ =
          ClientCalls.blockingUnaryCall(
              channel,
              method(name, MethodType.UNARY),
              SOON.withDeadlineAfter(10, TimeUnit.SECONDS),
              message);
      return Status.OK;
    } catch (StatusRuntimeException e) {
      return e.getStatus();
    }
  }

  /** Opens a stream. */
  public static StreamObserver<byte[]> stream(
      Channel channel, String name, StreamObserver<byte[]> responses) {
    return ClientCalls.asyncBidiStreamingCall(
        channel.newCall(
            method(name, MethodType.BIDI_STREAMING), SOON.withDeadlineAfter(10, TimeUnit.SECONDS)),
        responses);
  }

  /** Messages as they are. */
  private enum Bytes implements Marshaller<byte[]> {
    MARSHALLER;

    @Override
    public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    @Override
    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}

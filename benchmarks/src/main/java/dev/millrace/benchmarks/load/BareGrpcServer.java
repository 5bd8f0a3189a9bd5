package dev.millrace.benchmarks.load;

import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.ServerServiceDefinition;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ServerCalls;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The least that a gRPC server can do for a ModelInfer: read the message as bytes and answer the
 * bytes that another server answered to the same message, on the event loop.
 */
public final class BareGrpcServer {
  private static final String SERVICE = "inference.GRPCInferenceService";

  private static final MethodDescriptor<byte[], byte[]> MODEL_INFER =
      MethodDescriptor.<byte[], byte[]>newBuilder()
          .setType(MethodDescriptor.MethodType.UNARY)
          .setFullMethodName(MethodDescriptor.generateFullMethodName(SERVICE, "ModelInfer"))
          .setRequestMarshaller(new BytesMarshaller())
          .setResponseMarshaller(new BytesMarshaller())
          .build();

  private BareGrpcServer() {}

  /**
   * Asks the origin once, then serves until killed.
   *
   * @param args port, {@code host:port} of the origin, file of the request message
   */
  public static void main(String[] args) throws IOException, InterruptedException {
    if (args.length != 3) {
      throw new IllegalArgumentException("expected: port host:port request-file");
    }
    byte[] answer = ask(args[1], Files.readAllBytes(Path.of(args[2])));
    EventLoops loops = EventLoops.start();
    var server =
        NettyServerBuilder.forAddress(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(args[0])))
            .bossEventLoopGroup(loops.group())
            .workerEventLoopGroup(loops.group())
            .channelType(loops.channelType())
            .directExecutor()
            .addService(
                ServerServiceDefinition.builder(SERVICE)
                    .addMethod(
                        MODEL_INFER,
                        ServerCalls.asyncUnaryCall((request, reply) -> {
                          reply.onNext(answer);
                          reply.onCompleted();
                        }))
                    .build())
            .build()
            .start();
    System.out.printf("bare gRPC server: %d bytes an answer%n", answer.length);
    server.awaitTermination();
  }

  private static byte[] ask(String origin, byte[] request) {
    ManagedChannel channel = NettyChannelBuilder.forTarget(origin).usePlaintext().build();
    try {
      return ClientCalls.blockingUnaryCall(channel, MODEL_INFER, CallOptions.DEFAULT, request);
    } finally {
      channel.shutdownNow();
    }
  }

  private static final class BytesMarshaller implements MethodDescriptor.Marshaller<byte[]> {
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

package dev.millrace.server.grpc;

import com.google.protobuf.ByteString;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub;
import dev.millrace.proto.inference.InferTensorContents;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import io.grpc.Codec;
import io.grpc.Compressor;
import io.grpc.CompressorRegistry;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import java.util.zip.DeflaterOutputStream;

/** A real server with the models of {@link EchoBackend}, and a client. */
public final class GrpcFixture implements AutoCloseable {
  final EchoBackend backend = new EchoBackend();
  final MillraceServer server;
  final ManagedChannel channel;

  private GrpcFixture(Path root, UnaryOperator<ServerConfig> change) throws IOException {
    ServerConfig config =
        ServerConfig.of(EchoBackend.repository(root))
            .onFreePorts()
            .withStopTimes(Duration.ZERO, Duration.ofSeconds(10));
    server = MillraceServer.start(change.apply(config), List.of(backend));
    channel = client(server.grpcPort());
  }

  public static GrpcFixture start(Path root) throws IOException {
    return start(root, UnaryOperator.identity());
  }

  public static GrpcFixture start(Path root, UnaryOperator<ServerConfig> change)
      throws IOException {
    return new GrpcFixture(root, change);
  }

  /** A client, which the caller shuts down. */
  static ManagedChannel client(int port) {
    return NettyChannelBuilder.forAddress("localhost", port)
        .usePlaintext()
        .maxInboundMessageSize(Integer.MAX_VALUE)
        .compressorRegistry(compressors())
        .build();
  }

  /** All encodings that the server reads. */
  private static CompressorRegistry compressors() {
    CompressorRegistry registry = CompressorRegistry.newEmptyInstance();
    registry.register(Codec.Identity.NONE);
    registry.register(new Codec.Gzip());
    registry.register(
        new Compressor() {
          @Override
          public String getMessageEncoding() {
            return "deflate";
          }

          @Override
          public OutputStream compress(OutputStream out) {
            return new DeflaterOutputStream(out);
          }
        });
    return registry;
  }

  static void shutDown(ManagedChannel channel) {
    try {
      if (!channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS)) {
        throw new AssertionError("the client does not end");
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  GRPCInferenceServiceBlockingStub stub() {
    return GRPCInferenceServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(20, TimeUnit.SECONDS);
  }

  /** A request to {@code echo_fp32} with one row of raw values. */
  static ModelInferRequest floats(float... values) {
    return ModelInferRequest.newBuilder()
        .setModelName("echo_fp32")
        .addInputs(input("IN", "FP32", 1, values.length))
        .addRawInputContents(raw(values))
        .build();
  }

  /** A request to {@code pair} with typed values. */
  static ModelInferRequest.Builder pair() {
    return ModelInferRequest.newBuilder()
        .setModelName("pair")
        .addInputs(ints("A", 1, 2))
        .addInputs(ints("B", 3, 4));
  }

  static InferInputTensor ints(String name, int... values) {
    InferTensorContents.Builder contents = InferTensorContents.newBuilder();
    for (int value : values) {
      contents.addIntContents(value);
    }
    return input(name, "INT32", 1, values.length).toBuilder().setContents(contents).build();
  }

  static InferInputTensor input(String name, String type, long... shape) {
    InferInputTensor.Builder input = InferInputTensor.newBuilder().setName(name).setDatatype(type);
    for (long dim : shape) {
      input.addShape(dim);
    }
    return input.build();
  }

  static ByteString raw(float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return ByteString.copyFrom(bytes);
  }

  @Override
  public void close() {
    backend.release();
    shutDown(channel);
    server.close();
  }
}

package dev.millrace.server.triton;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.protobuf.ByteString;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceStub;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import dev.millrace.server.http.RawClient;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.server.v2.TestBackend;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;

/** A server of the models of {@link TestBackend} with all extensions, and a client of each kind. */
final class TritonFixture implements AutoCloseable {
  private static final String ROW = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16";

  /** A request to {@code simple} of one row; {@code '} stands for {@code "}. */
  static final String SIMPLE =
      "{'inputs':[{'name':'INPUT0','shape':[1,16],'datatype':'INT32','data':[%s]},{'name':'INPUT1','shape':[1,16],'datatype':'INT32','data':[%s]}]}"
          .formatted(ROW, ROW);

  final TestBackend backend = new TestBackend();
  final MillraceServer server;
  final ManagedChannel channel;
  private final RawClient client;

  TritonFixture(Path repository) throws IOException {
    this(repository, UnaryOperator.identity());
  }

  TritonFixture(Path repository, UnaryOperator<ServerConfig> change) throws IOException {
    ServerConfig config =
        ServerConfig.of(repository)
            .onFreePorts()
            .withStopTimes(Duration.ZERO, Duration.ofSeconds(10));
    server = MillraceServer.start(change.apply(config), List.of(backend));
    channel = NettyChannelBuilder.forAddress("localhost", server.port()).usePlaintext().build();
    client = new RawClient(server.port());
  }

  /** Puts a file into a model's directory. */
  static void write(Path repository, String file, String content) throws IOException {
    Files.writeString(repository.resolve(file), content);
  }

  Response get(String path) throws IOException {
    return client.get(path).read();
  }

  /** Posts a body, in which {@code '} stands for {@code "}. */
  Response post(String path, String body, String... headers) throws IOException {
    return postBytes(path, body.replace('\'', '"').getBytes(UTF_8), headers);
  }

  Response postBytes(String path, byte[] body, String... headers) throws IOException {
    StringBuilder head = new StringBuilder("POST " + path + " HTTP/1.1\r\nHost: h\r\n");
    for (String header : headers) {
      head.append(header).append("\r\n");
    }
    client.send(head + "Content-Length: " + body.length + "\r\n\r\n");
    return client.send(body).read();
  }

  GRPCInferenceServiceBlockingStub stub() {
    return GRPCInferenceServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(20, TimeUnit.SECONDS);
  }

  GRPCInferenceServiceStub asyncStub() {
    return GRPCInferenceServiceGrpc.newStub(channel).withDeadlineAfter(60, TimeUnit.SECONDS);
  }

  /** A request to a model {@code identity_fp32} with rows of two values. */
  static ModelInferRequest.Builder floats(String id, float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return ModelInferRequest.newBuilder()
        .setModelName("identity_fp32")
        .setId(id)
        .addInputs(
            InferInputTensor.newBuilder()
                .setName("INPUT0")
                .setDatatype("FP32")
                .addShape(values.length / 2)
                .addShape(2))
        .addRawInputContents(ByteString.copyFrom(bytes));
  }

  @Override
  public void close() throws IOException {
    client.close();
    channel.shutdownNow();
    try {
      if (!channel.awaitTermination(10, TimeUnit.SECONDS)) {
        throw new AssertionError("the client does not end");
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    server.close();
  }
}

package dev.millrace.server.v1;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.google.protobuf.Int64Value;
import dev.millrace.proto.tensorflow.DataType;
import dev.millrace.proto.tensorflow.TensorProto;
import dev.millrace.proto.tensorflow.TensorShapeProto;
import dev.millrace.proto.tfserving.ModelServiceGrpc;
import dev.millrace.proto.tfserving.ModelServiceGrpc.ModelServiceBlockingStub;
import dev.millrace.proto.tfserving.ModelSpec;
import dev.millrace.proto.tfserving.PredictionServiceGrpc;
import dev.millrace.proto.tfserving.PredictionServiceGrpc.PredictionServiceBlockingStub;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** A whole server of the models of {@link FunctionBackend}, and TF Serving's stubs. */
final class TfServingFixture implements AutoCloseable {
  final MillraceServer server;
  final ManagedChannel channel;

  TfServingFixture(Path repository) throws IOException {
    server =
        MillraceServer.start(
            ServerConfig.of(repository)
                .onFreePorts()
                .withStopTimes(Duration.ZERO, Duration.ofSeconds(10)),
            List.of(new FunctionBackend()));
    channel =
        NettyChannelBuilder.forAddress("localhost", server.port())
            .usePlaintext()
            .maxInboundMessageSize(Integer.MAX_VALUE)
            .build();
  }

  PredictionServiceBlockingStub predictions() {
    return PredictionServiceGrpc.newBlockingStub(channel).withDeadlineAfter(20, TimeUnit.SECONDS);
  }

  ModelServiceBlockingStub models() {
    return ModelServiceGrpc.newBlockingStub(channel).withDeadlineAfter(20, TimeUnit.SECONDS);
  }

  static ModelSpec spec(String model) {
    return ModelSpec.newBuilder().setName(model).build();
  }

  static ModelSpec spec(String model, long version) {
    return ModelSpec.newBuilder().setName(model).setVersion(Int64Value.of(version)).build();
  }

  static ModelSpec labelled(String model, String label) {
    return ModelSpec.newBuilder().setName(model).setVersionLabel(label).build();
  }

  static TensorShapeProto shape(long... dims) {
    TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
    for (long dim : dims) {
      shape.addDim(TensorShapeProto.Dim.newBuilder().setSize(dim));
    }
    return shape.build();
  }

  static TensorProto.Builder tensor(DataType type, long... dims) {
    return TensorProto.newBuilder().setDtype(type).setTensorShape(shape(dims));
  }

  static TensorProto floats(float... values) {
    TensorProto.Builder tensor = tensor(DataType.DT_FLOAT, values.length);
    for (float value : values) {
      tensor.addFloatVal(value);
    }
    return tensor.build();
  }

  static void assertFails(ThrowingCallable call, Status.Code code, String message) {
    StatusRuntimeException failure = catchThrowableOfType(StatusRuntimeException.class, call);
    assertThat(failure).as("no failure").isNotNull();
    assertThat(failure.getStatus().getDescription()).isEqualTo(message);
    assertThat(failure.getStatus().getCode()).isEqualTo(code);
  }

  @Override
  public void close() {
    channel.shutdownNow();
    try {
      assertThat(channel.awaitTermination(10, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    server.close();
  }
}

package dev.millrace.benchmarks;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.server.v2.OutputEncoding;
import dev.millrace.server.v2.V2RequestReader;
import dev.millrace.server.v2.V2ResponseWriter;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The V2 codec with the binary tensor extension on one thread: a body in pooled memory to a
 * request, and a response to the JSON in front of its tensors, whose bytes are sent as they are.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class V2BinaryBenchmark {
  /** Bytes of the one tensor. */
  @Param({"128", "49152", "4194304"})
  public int bytes;

  private final V2RequestReader reader =
      new V2RequestReader(model -> {
        throw new IllegalStateException("only raw requests need metadata");
      });
  private final ModelId model = ModelId.latest("model");
  private ByteBuf body = Unpooled.EMPTY_BUFFER;
  private String headerLength = "";
  private @Nullable InferenceResponse response;

  /** Makes the body and the response. */
  @Setup
  public void setUp() {
    TensorMap tensors =
        TensorMap.of(
            "INPUT0",
            Tensor.copyOf(DataType.UINT8, Shape.of(1, bytes), ByteBuffer.allocate(bytes)));
    byte[] request = WireRequest.binary(tensors);
    body = PooledByteBufAllocator.DEFAULT.directBuffer(request.length).writeBytes(request);
    headerLength = Integer.toString(WireRequest.binaryHeader(tensors).length);
    response = new InferenceResponse("5", new ModelId("model", "1"), tensors, Parameters.empty());
  }

  /** Frees them. */
  @TearDown
  public void tearDown() {
    body.release();
    requireNonNull(response).close();
  }

  /** A body to a request. */
  @Benchmark
  public long read() {
    try (InferenceRequest request = reader.read(model, body, headerLength).inference()) {
      return request.inputs().byteSize();
    }
  }

  /** A response to the JSON of its body. */
  @Benchmark
  public int write() {
    InferenceResponse answer = requireNonNull(response);
    ByteBuf out =
        PooledByteBufAllocator.DEFAULT.directBuffer(
            V2ResponseWriter.estimate(answer, OutputEncoding.binary()));
    try {
      V2ResponseWriter.write(answer, OutputEncoding.binary(), out);
      return out.readableBytes();
    } finally {
      out.release();
    }
  }
}

package dev.millrace.benchmarks;

import static java.util.Objects.requireNonNull;

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
import java.util.Random;
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
 * The V2 JSON codec on one thread: an {@code infer} body in pooled memory to a request and back to
 * nothing, and a response to a pooled body and back to nothing.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class V2JsonBenchmark {
  /** What the request holds. */
  public enum Payload {
    /** 2 x INT32[1,16]: the request of the load run. */
    SMALL_INTEGERS {
      @Override
      TensorMap tensors() {
        return LoadModel.SIMPLE.row();
      }
    },

    /** FP32[1,32] of few digits. */
    FEATURES {
      @Override
      TensorMap tensors() {
        return LoadModel.DENSE.row();
      }
    },

    /** FP32[32,384] of all digits: what MiniLM answers. */
    EMBEDDINGS {
      @Override
      TensorMap tensors() {
        Random random = new Random(7);
        float[] values = new float[32 * 384];
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) random.nextGaussian();
        }
        return TensorMap.of("last_hidden_state", Tensor.copyOf(Shape.of(32, 384), values));
      }
    };

    abstract TensorMap tensors();
  }

  /** What is read and written. */
  @Param public Payload payload = Payload.SMALL_INTEGERS;

  private final V2RequestReader reader =
      new V2RequestReader(model -> {
        throw new IllegalStateException("only raw requests need metadata");
      });
  private final ModelId model = ModelId.latest("model");
  private ByteBuf body = Unpooled.EMPTY_BUFFER;
  private @Nullable InferenceResponse response;

  /** Makes the body and the response. */
  @Setup
  public void setUp() {
    TensorMap tensors = payload.tensors();
    byte[] json = WireRequest.json(tensors);
    body = PooledByteBufAllocator.DEFAULT.directBuffer(json.length).writeBytes(json);
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
    try (InferenceRequest request = reader.read(model, body, null).inference()) {
      return request.inputs().byteSize();
    }
  }

  /** A response to a body. */
  @Benchmark
  public int write() {
    InferenceResponse answer = requireNonNull(response);
    ByteBuf out =
        PooledByteBufAllocator.DEFAULT.directBuffer(
            V2ResponseWriter.estimate(answer, OutputEncoding.json()));
    try {
      V2ResponseWriter.write(answer, OutputEncoding.json(), out);
      return out.readableBytes();
    } finally {
      out.release();
    }
  }
}

package dev.millrace.benchmarks;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
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
import org.openjdk.jmh.annotations.Warmup;

/** Making and closing one tensor: the floor under everything that carries tensors. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class TensorBenchmark {
  /** Bytes of the tensor. */
  @Param({"64", "65536"})
  public int bytes;

  private ByteBuffer data = ByteBuffer.allocate(0);

  private Shape shape = Shape.of(0);

  /** Makes the contents. */
  @Setup
  public void setUp() {
    data = ByteBuffer.allocateDirect(bytes);
    shape = Shape.of(bytes);
  }

  /** A view of memory that lives longer. */
  @Benchmark
  public int wrap() {
    try (Tensor tensor = Tensor.wrap(DataType.UINT8, shape, data)) {
      return tensor.byteSize();
    }
  }

  /** A copy in pooled memory. */
  @Benchmark
  public int copyOf() {
    try (Tensor tensor = Tensor.copyOf(DataType.UINT8, shape, data)) {
      return tensor.byteSize();
    }
  }
}

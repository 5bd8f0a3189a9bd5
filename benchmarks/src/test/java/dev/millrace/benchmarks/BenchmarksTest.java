package dev.millrace.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.TensorMap;
import dev.millrace.server.v2.V2RequestReader;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Runs each benchmark once, so that none of them rots; measures nothing. */
class BenchmarksTest {
  @ParameterizedTest
  @EnumSource
  void json_runs(V2JsonBenchmark.Payload payload) {
    V2JsonBenchmark benchmark = new V2JsonBenchmark();
    benchmark.payload = payload;
    benchmark.setUp();
    try {
      assertThat(benchmark.read()).isPositive();
      assertThat(benchmark.write()).isPositive();
    } finally {
      benchmark.tearDown();
    }
  }

  @Test
  void binary_runs() {
    V2BinaryBenchmark benchmark = new V2BinaryBenchmark();
    benchmark.bytes = 4096;
    benchmark.setUp();
    try {
      assertThat(benchmark.read()).isEqualTo(4096);
      assertThat(benchmark.write()).isPositive();
    } finally {
      benchmark.tearDown();
    }
  }

  @Test
  void batcher_runs() {
    BatcherBenchmark benchmark = new BatcherBenchmark();
    benchmark.runners = 2;
    benchmark.setUp();
    benchmark.lone();
    benchmark.burst();
    benchmark.tearDown();
  }

  @Test
  void pipeline_runs() throws IOException {
    PipelineBenchmark benchmark = new PipelineBenchmark();
    benchmark.setUp();
    benchmark.lone();
    benchmark.burst();
    benchmark.tearDown();
  }

  @ParameterizedTest
  @EnumSource
  void wireRequest_inBinary_isWhatTheServerReads(LoadModel model) {
    V2RequestReader reader =
        new V2RequestReader(id -> {
          throw new IllegalStateException("not a raw request");
        });
    try (TensorMap row = model.row()) {
      ByteBuf body = Unpooled.wrappedBuffer(WireRequest.binary(row));
      String headerLength = Integer.toString(WireRequest.binaryHeader(row).length);
      try (InferenceRequest request =
          reader.read(ModelId.latest("model"), body, headerLength).inference()) {
        assertThat(request.inputs().names()).isEqualTo(row.names());
        for (int i = 0; i < row.size(); i++) {
          assertThat(request.inputs().tensor(i).data()).isEqualTo(row.tensor(i).data());
        }
      }
    }
  }
}

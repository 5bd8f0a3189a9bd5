package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.backend.onnx.OnnxBackend;
import dev.millrace.runtime.LoadListener;
import dev.millrace.runtime.ModelOptions;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * A run in ONNX Runtime that would take years ends when nobody waits for it any more, and the only
 * instance is free for others.
 */
@ExtendWith(TensorLeakExtension.class)
class AbandonedRunTest {
  private static final long YEARS = 1L << 60;

  @TempDir Path directory;

  @Test
  void instanceIsFree_afterItsOnlyRequestWasLateOrCancelled() throws IOException {
    Files.write(directory.resolve("m.onnx"), OnnxModels.rounds());
    RuntimeConfig config =
        RuntimeConfig.of(directory.resolve("m.onnx"))
            .withProcessors(1)
            .withOptions(
                ModelOptions.read(
                    Settings.of("test", Map.of("instances", 1, "calibration-time", "0s"))));
    try (ModelServer server =
        ModelServer.create(config, List.of(new OnnxBackend()), new SimpleMeterRegistry())) {
      server.models().loadAll(LoadListener.NONE);

      CompletableFuture<InferenceResponse> late =
          server.infer(
              rounds(YEARS).withDeadline(Deadline.after(Duration.ofMillis(50), Ticker.system())));
      assertThat(failure(late).code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED);
      assertThat(answer(server.infer(rounds(2)))).isEqualTo(2);

      CompletableFuture<InferenceResponse> cancelled = server.infer(rounds(YEARS));
      await(() -> server.meters().get("millrace.queue.requests").gauge().value() == 0);
      assertThat(cancelled.cancel(false)).isTrue();
      assertThat(answer(server.infer(rounds(3)))).isEqualTo(3);
    }
  }

  private static InferenceRequest rounds(long rounds) {
    return InferenceRequest.of("m", TensorMap.of("ROUNDS", Tensor.copyOf(Shape.of(1), rounds)));
  }

  private static long answer(CompletableFuture<InferenceResponse> future) {
    try (InferenceResponse response = future.orTimeout(30, TimeUnit.SECONDS).join()) {
      return response.outputs().tensor(0).data().getLong(0);
    }
  }

  private static InferenceException failure(CompletableFuture<InferenceResponse> future) {
    try (InferenceResponse response = future.orTimeout(30, TimeUnit.SECONDS).join()) {
      throw new AssertionError("expected a failure, got " + response);
    } catch (CompletionException e) {
      return InferenceException.of(e);
    }
  }

  private static void await(BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime() - end).isNegative();
      Thread.onSpinWait();
    }
  }
}

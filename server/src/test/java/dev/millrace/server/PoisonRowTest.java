package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.backend.onnx.OnnxBackend;
import dev.millrace.runtime.LoadListener;
import dev.millrace.runtime.Metric;
import dev.millrace.runtime.ModelOptions;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * One row that ONNX Runtime fails, in a batch of 64, fails alone, and finding it takes no more runs
 * than halving does.
 */
@ExtendWith(TensorLeakExtension.class)
class PoisonRowTest {
  private static final int ROWS = 64;
  private static final int GUILTY = 37;

  @TempDir Path directory;

  @Test
  void guiltyRow_failsAlone_afterTwiceAsManyRunsAsHalvings() throws IOException {
    Files.write(directory.resolve("m.onnx"), OnnxModels.lookup());
    RuntimeConfig config =
        RuntimeConfig.of(directory.resolve("m.onnx"))
            .withOptions(
                ModelOptions.read(
                    Settings.of(
                        "test",
                        Map.of(
                            "instances", 1,
                            "calibration-time", "0s",
                            "max-batch-size", ROWS,
                            "batch-policy", "fixed",
                            "max-queue-delay", "30s"))));
    try (ModelServer server =
        ModelServer.create(config, List.of(new OnnxBackend()), new SimpleMeterRegistry())) {
      server.models().loadAll(LoadListener.NONE);
      double before = runs(server);

      List<CompletableFuture<InferenceResponse>> answers = new ArrayList<>();
      for (int row = 0; row < ROWS; row++) {
        answers.add(server.infer(lookup(row == GUILTY ? 3 : row % 3)));
      }
      for (int row = 0; row < ROWS; row++) {
        if (row == GUILTY) {
          InferenceException failure = failure(answers.get(row));
          assertThat(failure.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
          assertThat(failure).hasMessageContaining("out of data bounds");
        } else {
          assertThat(answer(answers.get(row))).as("row %d", row).isEqualTo(row % 3 * 2f);
        }
      }
      // All of them, and then both halves of what failed: 32, 16, 8, 4, 2 and 1 rows.
      assertThat(runs(server) - before).isEqualTo(1 + 2 * 6);
    }
  }

  private static double runs(ModelServer server) {
    return count(server, Metric.BATCHES) + count(server, Metric.BATCHES_FAILED);
  }

  private static double count(ModelServer server, Metric metric) {
    return server.meters().get(metric.meterName()).counter().count();
  }

  private static InferenceRequest lookup(long index) {
    return InferenceRequest.of("m", TensorMap.of("INDEX", Tensor.copyOf(Shape.of(1), index)));
  }

  private static float answer(CompletableFuture<InferenceResponse> future) {
    try (InferenceResponse response = future.orTimeout(60, TimeUnit.SECONDS).join()) {
      return response.outputs().tensor(0).data().getFloat(0);
    }
  }

  private static InferenceException failure(CompletableFuture<InferenceResponse> future) {
    try (InferenceResponse response = future.orTimeout(60, TimeUnit.SECONDS).join()) {
      throw new AssertionError("expected a failure, got " + response);
    } catch (CompletionException e) {
      return InferenceException.of(e);
    }
  }
}

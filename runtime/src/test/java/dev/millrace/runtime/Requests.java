package dev.millrace.runtime;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;

/** Requests for fake models and what comes of them. */
final class Requests {
  private Requests() {}

  /** Rows of two numbers for input X. */
  static InferenceRequest of(String model, float... x) {
    return InferenceRequest.of(
        model, TensorMap.of("X", Tensor.copyOf(Shape.of(x.length / 2, 2), x)));
  }

  /** The values of output Y. */
  static float[] y(CompletableFuture<InferenceResponse> future) {
    try (InferenceResponse response = future.orTimeout(10, TimeUnit.SECONDS).join()) {
      return requireNonNull(response.outputs().get("Y")).toFloats();
    }
  }

  /** Why it failed. */
  static InferenceException failure(CompletableFuture<?> future) {
    try {
      Object result = future.orTimeout(10, TimeUnit.SECONDS).join();
      throw new AssertionError("expected a failure, got " + result);
    } catch (CompletionException e) {
      assertThat(e.getCause()).isInstanceOf(InferenceException.class);
      return InferenceException.of(e);
    }
  }

  static void assertFails(CompletableFuture<?> future, ErrorCode code, String message) {
    InferenceException failure = failure(future);
    assertThat(failure.code()).isEqualTo(code);
    assertThat(failure.getMessage()).contains(message);
  }
}

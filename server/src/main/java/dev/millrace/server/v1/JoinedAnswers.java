package dev.millrace.server.v1;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.InferenceResponse;
import dev.millrace.api.TensorMap;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * The answers of several signatures to the same client as one response: the outputs of each are
 * called by its number in front of their names.
 */
final class JoinedAnswers {
  private JoinedAnswers() {}

  /**
   * Completes when all have, with a response that belongs to whoever receives it; with the failure
   * of one if one fails. Cancelling it cancels them all.
   *
   * @param parts at least one; taken over
   */
  static CompletableFuture<InferenceResponse> join(
      List<CompletableFuture<InferenceResponse>> parts) {
    CompletableFuture<InferenceResponse> joined = new CompletableFuture<>();
    var _ =
        joined.whenComplete((response, failure) -> {
          if (failure instanceof CancellationException) {
            parts.forEach(part -> part.cancel(false));
          }
        });
    var _ =
        CompletableFuture.allOf(parts.toArray(CompletableFuture[]::new))
            .whenComplete((nothing, failure) -> settle(joined, parts, failure));
    return joined;
  }

  private static void settle(
      CompletableFuture<InferenceResponse> joined,
      List<CompletableFuture<InferenceResponse>> parts,
      @Nullable Throwable failure) {
    if (failure == null) {
      InferenceResponse merged = merge(parts.stream().map(CompletableFuture::join).toList());
      if (!joined.complete(merged)) {
        merged.close();
      }
      return;
    }
    for (CompletableFuture<InferenceResponse> part : parts) {
      if (!part.isCompletedExceptionally()) {
        part.join().close();
      }
    }
    joined.completeExceptionally(failure);
  }

  private static InferenceResponse merge(List<InferenceResponse> parts) {
    TensorMap.Builder outputs = TensorMap.builder();
    for (int part = 0; part < parts.size(); part++) {
      TensorMap own = parts.get(part).outputs();
      for (int i = 0; i < own.size(); i++) {
        outputs.put(prefix(part) + own.name(i), own.tensor(i));
      }
    }
    return parts.getFirst().withOutputs(outputs.build());
  }

  private static String prefix(int part) {
    return part + "/";
  }

  /** The outputs of one, under their own names; they stay the response's. */
  static TensorMap outputs(InferenceResponse joined, int part) {
    TensorMap.Builder own = TensorMap.builder();
    List<String> names = new ArrayList<>(joined.outputs().names());
    for (String name : names) {
      if (name.startsWith(prefix(part))) {
        own.put(name.substring(prefix(part).length()), requireNonNull(joined.outputs().get(name)));
      }
    }
    return own.build();
  }
}

package dev.millrace.server.v2;

import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.TensorMap;
import dev.millrace.runtime.LabelFile;
import dev.millrace.runtime.ModelDescription;
import dev.millrace.runtime.ModelRegistry;
import dev.millrace.server.memory.MemoryRange;
import dev.millrace.server.memory.SharedMemory;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Does to the outputs of one request what it wants, before they are sent: turns scores into
 * classes, puts tensors into shared memory. Used by one thread at a time.
 */
public final class OutputFinisher {
  private static final OutputFinisher NONE =
      new OutputFinisher(OutputOptions.none(), SharedMemory.off(), false, Map.of());

  private final OutputOptions options;
  private final SharedMemory memory;
  private final boolean batched;
  private final Map<String, LabelFile> labels;

  /** Where outputs were put, as far as each is filled. */
  private Map<String, MemoryRange> filled = Map.of();

  private OutputFinisher(
      OutputOptions options, SharedMemory memory, boolean batched, Map<String, LabelFile> labels) {
    this.options = options;
    this.memory = memory;
    this.batched = batched;
    this.labels = labels;
  }

  /** Leaves outputs as they are. */
  public static OutputFinisher none() {
    return NONE;
  }

  /**
   * Does what {@code options} say.
   *
   * @param model that the request is for
   * @throws InferenceException NOT_FOUND or UNAVAILABLE if there is no such model, INVALID_ARGUMENT
   *     if a place is none, UNIMPLEMENTED if shared memory is off
   */
  public static OutputFinisher of(
      OutputOptions options, ModelId model, ModelRegistry models, SharedMemory memory) {
    if (options.isNone()) {
      return NONE;
    }
    options.places().values().forEach(memory::check);
    if (options.classes().isEmpty()) {
      return new OutputFinisher(options, memory, false, Map.of());
    }
    ModelDescription description = models.describe(model);
    return new OutputFinisher(
        options, memory, description.metadata().isBatchable(), description.labels());
  }

  /**
   * The response as it is to be sent.
   *
   * @param response taken over, unless this throws
   * @throws InferenceException INVALID_ARGUMENT if an output holds no scores, or its place is too
   *     small
   */
  public InferenceResponse finish(InferenceResponse response) {
    if (options.isNone()) {
      return response;
    }
    TensorMap outputs = response.outputs();
    for (int i = 0; i < outputs.size(); i++) {
      String name = outputs.name(i);
      MemoryRange place = options.places().get(name);
      if (place != null) {
        memory.write(place, name, outputs.tensor(i));
        filled = filled.isEmpty() ? new HashMap<>() : filled;
        filled.put(
            name, new MemoryRange(place.region(), place.offset(), outputs.tensor(i).byteSize()));
      }
    }
    return options.classes().isEmpty()
        ? response
        : ClassScores.of(response, options.classes(), batched, labels);
  }

  /** Where {@link #finish} has put that output; null if it is to be sent. */
  public @Nullable MemoryRange placeOf(String output) {
    return filled.get(output);
  }
}

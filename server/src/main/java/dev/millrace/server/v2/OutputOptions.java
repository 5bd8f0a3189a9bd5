package dev.millrace.server.v2;

import dev.millrace.api.InferenceException;
import dev.millrace.server.memory.MemoryRange;
import java.util.HashMap;
import java.util.Map;

/**
 * What a request wants done to its outputs.
 *
 * @param classes by output, how many of the best classes are to be sent in place of all scores
 * @param places by output, where it is to be put instead of into the answer
 */
public record OutputOptions(Map<String, Integer> classes, Map<String, MemoryRange> places) {
  /** Most classes that can be asked for; more are as many as that. */
  private static final int MOST_CLASSES = 1_000_000;

  private static final OutputOptions NONE = new OutputOptions(Map.of(), Map.of());

  public OutputOptions {
    classes = Map.copyOf(classes);
    places = Map.copyOf(places);
    for (String output : places.keySet()) {
      if (classes.containsKey(output)) {
        throw InferenceException.invalidArgument(
            "shared memory can't be used for classification outputs, as asked for output '%s'"
                .formatted(output));
      }
    }
  }

  /** Nothing. */
  public static OutputOptions none() {
    return NONE;
  }

  /** Whether there is nothing to be done. */
  public boolean isNone() {
    return classes.isEmpty() && places.isEmpty();
  }

  /** Collects what a request says, output by output. */
  public static final class Builder {
    private Map<String, Integer> classes = Map.of();
    private Map<String, MemoryRange> places = Map.of();

    /**
     * Asks for the best classes of an output.
     *
     * @param count of them; 0 asks for none
     * @throws InferenceException INVALID_ARGUMENT if it is negative
     */
    public Builder classes(String output, long count) {
      if (count < 0) {
        throw InferenceException.invalidArgument(
            "parameter 'classification' of output '%s' must not be negative, got %d"
                .formatted(output, count));
      }
      if (count > 0) {
        classes = classes.isEmpty() ? new HashMap<>() : classes;
        classes.put(output, (int) Math.min(count, MOST_CLASSES));
      }
      return this;
    }

    /** Asks for an output to be put into shared memory. */
    public Builder place(String output, MemoryRange range) {
      places = places.isEmpty() ? new HashMap<>() : places;
      places.put(output, range);
      return this;
    }

    /**
     * What was collected.
     *
     * @throws InferenceException INVALID_ARGUMENT if an output shall be both
     */
    public OutputOptions build() {
      return classes.isEmpty() && places.isEmpty() ? NONE : new OutputOptions(classes, places);
    }
  }
}
